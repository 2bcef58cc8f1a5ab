// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

// What Polymarket's exchanges say when orders are matched, in their order, and nothing else: no money
// moves and nothing is checked. They have no state, so their code may be placed at any address.

/// The exchanges in use.
contract Exchange {
    struct Order {
        bytes32 orderHash;
        address maker;
        uint8 side;
        uint256 tokenId;
        uint256 makerAmountFilled;
        uint256 takerAmountFilled;
        uint256 fee;
        bytes32 builder;
        bytes32 metadata;
    }

    struct Match {
        Order taker;
        Order[] makers;
    }

    event OrderFilled(
        bytes32 indexed orderHash,
        address indexed maker,
        address indexed taker,
        uint8 side,
        uint256 tokenId,
        uint256 makerAmountFilled,
        uint256 takerAmountFilled,
        uint256 fee,
        bytes32 builder,
        bytes32 metadata
    );
    event OrdersMatched(
        bytes32 indexed takerOrderHash,
        address indexed takerOrderMaker,
        uint8 side,
        uint256 tokenId,
        uint256 makerAmountFilled,
        uint256 takerAmountFilled
    );
    event FeeCharged(address indexed receiver, uint256 amount);

    /// Several matches in one transaction: in each the resting orders first, then the one that crossed them.
    function matchOrders(Match[] calldata matches) external {
        for (uint256 i; i < matches.length; ++i) {
            Order calldata taker = matches[i].taker;
            for (uint256 k; k < matches[i].makers.length; ++k) {
                filled(matches[i].makers[k], taker.maker);
            }
            filled(taker, address(this));
            emit OrdersMatched(
                taker.orderHash,
                taker.maker,
                taker.side,
                taker.tokenId,
                taker.makerAmountFilled,
                taker.takerAmountFilled
            );
        }
    }

    function filled(Order calldata order, address taker) private {
        emit OrderFilled(
            order.orderHash,
            order.maker,
            taker,
            order.side,
            order.tokenId,
            order.makerAmountFilled,
            order.takerAmountFilled,
            order.fee,
            order.builder,
            order.metadata
        );
        if (order.fee != 0) emit FeeCharged(msg.sender, order.fee);
    }
}

/// The exchanges before 2026-04-28.
contract ExchangeV1 {
    struct Order {
        bytes32 orderHash;
        address maker;
        uint256 makerAssetId;
        uint256 takerAssetId;
        uint256 makerAmountFilled;
        uint256 takerAmountFilled;
        uint256 fee;
    }

    struct Match {
        Order taker;
        Order[] makers;
    }

    event OrderFilled(
        bytes32 indexed orderHash,
        address indexed maker,
        address indexed taker,
        uint256 makerAssetId,
        uint256 takerAssetId,
        uint256 makerAmountFilled,
        uint256 takerAmountFilled,
        uint256 fee
    );
    event OrdersMatched(
        bytes32 indexed takerOrderHash,
        address indexed takerOrderMaker,
        uint256 makerAssetId,
        uint256 takerAssetId,
        uint256 makerAmountFilled,
        uint256 takerAmountFilled
    );

    function matchOrders(Match[] calldata matches) external {
        for (uint256 i; i < matches.length; ++i) {
            Order calldata taker = matches[i].taker;
            for (uint256 k; k < matches[i].makers.length; ++k) {
                filled(matches[i].makers[k], taker.maker);
            }
            filled(taker, address(this));
            emit OrdersMatched(
                taker.orderHash,
                taker.maker,
                taker.makerAssetId,
                taker.takerAssetId,
                taker.makerAmountFilled,
                taker.takerAmountFilled
            );
        }
    }

    function filled(Order calldata order, address taker) private {
        emit OrderFilled(
            order.orderHash,
            order.maker,
            taker,
            order.makerAssetId,
            order.takerAssetId,
            order.makerAmountFilled,
            order.takerAmountFilled,
            order.fee
        );
    }
}
