"""House rules that no linter knows, read from the source. Each rule is shown to be able to fail."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from copytrade.settings import Settings

ROOT = Path(__file__).parents[1]

LINES_PER_FUNCTION_MAX = 70
LINES_PER_FILE_MAX = 400
VAGUE_NAMES = {"base", "common", "helper", "helpers", "manager", "misc", "shared", "stuff", "types", "util", "utils"}
CLOCK_FILES = {Path("copytrade/adapters/system.py"), Path("copytrade/sandbox/clock.py")}
CLOCK_READS = re.compile(r"(^|\.)((date|datetime)\.(now|utcnow|today)|(loop|get_(running|event)_loop\(\))\.time)$")
# Live state that changes in place because it is updated thousands of times a second.
MUTABLE_DATACLASSES: set[str] = set()
# Written so that they do not find themselves.
MACHINE_PATH = re.compile(r"(?<![\w.:/}-])/(?:work|root|home|opt)/")
WORKSHOP_WORDS = re.compile(r"\b[Ii]ssues?\s#|Chat[G]PT|\bClaud[e]\b|\bLL[M]s?\b|\b[Ss]ub-?agen[t]s?\b")

Complaints = Iterator[str]
SourceRule = Callable[[str], Complaints]


def money_is_never_a_float(source: str) -> Complaints:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"{node.lineno}: the float {node.value}"
        if isinstance(node, ast.Name) and node.id == "float":
            yield f"{node.lineno}: float"
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield f"{node.lineno}: `/` makes a float, `//` rounds down"


def the_clock_is_read_in_one_place(source: str) -> Complaints:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and any(name.name == "time" for name in node.names):
            yield f"{node.lineno}: import time"
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield f"{node.lineno}: from time import"
        if isinstance(node, ast.Attribute) and CLOCK_READS.search(ast.unparse(node)):
            yield f"{node.lineno}: {ast.unparse(node)}"


def functions_fit_in_the_head(source: str) -> Complaints:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LINES_PER_FUNCTION_MAX:
                yield f"{node.lineno}: {node.name} has {lines} lines, more than {LINES_PER_FUNCTION_MAX}"


def files_fit_in_the_head(source: str) -> Complaints:
    lines = source.count("\n")
    if lines > LINES_PER_FILE_MAX:
        yield f"{lines} lines, more than {LINES_PER_FILE_MAX}"


def ports_state_their_promises(source: str) -> Complaints:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not node.name.startswith("_") and not ast.get_docstring(node):
            yield f"{node.lineno}: {node.name} has no docstring"


def nothing_is_excused_or_put_off(source: str) -> Complaints:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and re.search(r"type: *ignore|noqa|TODO|FIXME|XXX", token.string):
            yield f"{token.start[0]}: {token.string}"


def no_error_is_swallowed(source: str) -> Complaints:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield f"{node.lineno}: a bare except"
            elif _names_every_error(node.type) and all(map(_does_nothing, node.body)):
                yield f"{node.lineno}: every error is ignored"
        is_suppress = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress")
        if is_suppress and any(map(_names_every_error, node.args)):
            yield f"{node.lineno}: every error is suppressed"


def facts_are_frozen(source: str) -> Complaints:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef) or node.name in MUTABLE_DATACLASSES:
            continue
        for decorator in node.decorator_list:
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if not ast.unparse(call).endswith("dataclass"):
                continue
            given = {option.arg: ast.unparse(option.value) for option in getattr(decorator, "keywords", [])}
            if not given.get("frozen") == given.get("slots") == "True":
                yield f"{node.lineno}: {node.name} is not frozen with slots"


def no_machine_is_named(source: str) -> Complaints:
    for number, line in enumerate(source.splitlines(), start=1):
        if found := MACHINE_PATH.search(line):
            yield f"{number}: a path of one machine, {found.group()}"


def nothing_speaks_of_the_workshop(source: str) -> Complaints:
    for number, line in enumerate(source.splitlines(), start=1):
        if found := WORKSHOP_WORDS.search(line):
            yield f"{number}: {found.group()!r}"


def _names_every_error(caught: ast.expr) -> bool:
    caught_names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(ast.unparse(name) in {"Exception", "BaseException"} for name in caught_names)


def _does_nothing(statement: ast.stmt) -> bool:
    is_bare_value = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_bare_value or isinstance(statement, ast.Pass | ast.Continue)


def _python(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _tracked_text() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:  # An unpacked archive: everything but what the tools left behind.
        paths = [path for path in ROOT.rglob("*") if not {".venv", "__pycache__"} & set(path.parts)]
    for path in paths:
        if path.is_file() and b"\0" not in path.read_bytes()[:8192]:
            yield path


WHERE: dict[SourceRule, Callable[[], list[Path]]] = {
    money_is_never_a_float: lambda: _python("copytrade/domain", "copytrade/strategies"),
    the_clock_is_read_in_one_place: lambda: [
        path for path in _python("copytrade") if path.relative_to(ROOT) not in CLOCK_FILES
    ],
    functions_fit_in_the_head: lambda: _python("copytrade", "tests", "scripts", "benchmarks"),
    files_fit_in_the_head: lambda: _python("copytrade", "tests", "scripts", "benchmarks"),
    ports_state_their_promises: lambda: _python("copytrade/ports"),
    nothing_is_excused_or_put_off: lambda: _python("copytrade"),
    no_error_is_swallowed: lambda: _python("copytrade"),
    facts_are_frozen: lambda: _python("copytrade/domain"),
    no_machine_is_named: lambda: list(_tracked_text()),
    nothing_speaks_of_the_workshop: lambda: list(_tracked_text()),
}

BAD: dict[SourceRule, tuple[str, ...]] = {
    money_is_never_a_float: ("price = 0.5", "def f(price: float): ...", "half = size / 2", "size /= 2"),
    the_clock_is_read_in_one_place: (
        "import time",
        "from time import monotonic",
        "now = datetime.now(UTC)",
        "now = datetime.datetime.now(UTC)",
        "today = date.today()",
        "now = asyncio.get_running_loop().time()",
    ),
    functions_fit_in_the_head: ("async def f():\n" + "    pass\n" * LINES_PER_FUNCTION_MAX,),
    files_fit_in_the_head: ("\n" * (LINES_PER_FILE_MAX + 1),),
    ports_state_their_promises: ('class P(Protocol):\n    """It is."""\n    async def act(self): ...', "class P: ..."),
    nothing_is_excused_or_put_off: ("x = f()  # type: ignore[arg-type]", "import os  # noqa", "# TODO: later"),
    no_error_is_swallowed: (
        "try:\n    f()\nexcept:\n    raise",
        "try:\n    f()\nexcept Exception:\n    pass",
        "for x in y:\n    try:\n        f()\n    except (KeyError, BaseException):\n        continue",
        "with contextlib.suppress(Exception):\n    f()",
    ),
    facts_are_frozen: (
        "@dataclass\nclass A: ...",
        "@dataclass(frozen=True)\nclass A: ...",
        "@dataclasses.dataclass(slots=True, frozen=False)\nclass A: ...",
    ),
    no_machine_is_named: ("see /" + "home/ann/notes", "cd '/" + "work/main'", "/" + "root/"),
    nothing_speaks_of_the_workshop: ("as issue " + "#4 asks", "asked Claud" + "e", "an LL" + "M", "by sub" + "agents"),
}

GOOD: dict[SourceRule, str] = {
    money_is_never_a_float: "half = size // 2\nname = 'float'\nprice = 500_000",
    the_clock_is_read_in_one_place: "now = clock.now_ms()\nat = datetime.fromtimestamp(0, UTC)\ntimes = book.time",
    functions_fit_in_the_head: "def f():\n" + "    pass\n" * (LINES_PER_FUNCTION_MAX - 1),
    files_fit_in_the_head: "\n" * LINES_PER_FILE_MAX,
    ports_state_their_promises: 'class P:\n    """It is."""\n    def act(self):\n        """Act."""',
    nothing_is_excused_or_put_off: 'word = "TODO"  # the venue says so',
    no_error_is_swallowed: "try:\n    f()\nexcept Exception as e:\n    raise Odd from e\nexcept KeyError:\n    pass",
    facts_are_frozen: "@dataclass(frozen=True, slots=True, kw_only=True)\nclass A: ...\nclass B: ...",
    no_machine_is_named: "https://docs.polymarket.com/home/x ../shared ~/.cache src/work/x",
    nothing_speaks_of_the_workshop: "orders are issued; agents of the venue; Lake Claudette",
}


def _sentence(rule: SourceRule) -> str:
    return rule.__name__


@pytest.mark.parametrize("rule", WHERE, ids=_sentence)
def test_the_source_keeps_the_rule(rule: SourceRule) -> None:
    complaints = [
        f"{path.relative_to(ROOT)}:{complaint}" for path in WHERE[rule]() for complaint in rule(path.read_text("utf-8"))
    ]

    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("rule", WHERE, ids=_sentence)
def test_the_rule_can_fail_and_can_hold(rule: SourceRule) -> None:
    for snippet in BAD[rule]:
        assert list(rule(snippet)), f"nothing wrong is found in\n{snippet}"

    assert list(rule(GOOD[rule])) == []


def test_module_names_say_what_lives_there() -> None:
    named = [path.relative_to(ROOT) for path in _python("copytrade", "tests", "scripts", "benchmarks")]
    parts = {part for path in named for part in path.with_suffix("").parts}

    assert not parts & VAGUE_NAMES


def test_the_example_environment_lists_exactly_the_settings() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")

    listed = re.findall(r"^(?:# ?)?([A-Z][A-Z0-9_]*)=", example, flags=re.MULTILINE)

    assert len(listed) == len(set(listed)), "a variable is listed twice"
    assert set(listed) == {name.upper() for name in Settings.model_fields}
