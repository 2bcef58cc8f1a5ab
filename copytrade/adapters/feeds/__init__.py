"""What every family of leader fill sources does alike: hand over, refuse, hold a socket, check a row's fields."""
