"""Patterns of users are certified or refused; a certified one finds what `re` finds and cannot take long."""
from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from shack_gateway.masking import steps
from shack_gateway.masking.patterns import BUDGET, MOST_STEPS, REACH, Effort, TooLong, certify, lowered, unbarred

# --- what is certified, and what is refused ---

GOOD = [
    r"EMP-\d+", r"\b[A-Z]{3}-\d{6}\b", r"password=(.*?);", r"\w+@\w+", r"rm -rf|mkfs|dd if=", r"(?i)drop\s+table", r"",
    r"^sudo\b", r"(\w+\.)+corp", r"(?:\d{1,3}\.){3}\d{1,3}", r"(?:a|b|cd)*x", r"curl.*\|.*sh", r"\s+$", r"[^;]*;",
    r"(?P<key>\w+)=(?P<value>\S*)", r"(?<!\w)x(?!\d)", r"(?:[a-z]+-)?x", r"^(\d+,)*\d+$", r"(?s:a.*b)", r"a{3}b{0,7}",
    r"(?m:^x+$)", r"é+ü",
]


@pytest.mark.parametrize("text", GOOD)
def test_a_pattern_that_cannot_hang_is_certified(text: str) -> None:
    with_all = certify(text)
    assert with_all.steps <= MOST_STEPS and with_all.text == text


@pytest.mark.parametrize("text, reason", [
    (r"(a+)+$", "repeats a part that can end in more ways than one: `(a+)+`"),
    (r"(a|a)*b", "repeats a part that can end in more ways than one"),
    (r"(\w+\s?)*:", r"repeats a part that can end in more ways than one: `(\w+\s?)*`"),
    (r"(x+x+)+y", "`(x+x+)+`"), (r"([a-z]+\d*)+!", "more ways than one"), (r"(?:a|ab|abc)+d", "more ways than one"),
    (r"(?i:(st|ſt)*)x", "more ways than one"), (r"(?i:(?:k+\u212a?)*)x", "more ways than one"),
    (r"(.*)\1", r"a reference to a group (`\1`)"), (r"(a)?(?(1)b|c)", "a reference to a group"),
    (r"(a*)*", "repeats what may be empty: `(a*)*`"), (r"(a?){2,}", "repeats what may be empty"),
    (r"(?:|a)+", "repeats what may be empty"), (r"(\b)*x", "repeats what may be empty"),
    (r".*a.*b.*c", "because `.*` can end in many places"), (r"(?:.*a){3}b", "steps at a single place"),
    (r"[^é]*ü[^é]*ü[^é]*ü[^é]*x", "steps at a single place"), (r"\S*é\S*é\S*é\S*x", "steps at a single place"),
    (r"a{0,3000}a{0,3000}b", "steps at a single place"), (r"(?=.*x)y", "looks as far as it likes with `.*`"),
    (r"(?!a+b)c", "looks as far as it likes with `a+`"), (r"x{200000}", "matches texts of more than"),
    (r"(foo", "is no regular expression: missing )"), (r"x{3}{4}", "is no regular expression: multiple repeat"),
    (r"[b-a]", "is no regular expression: bad character range"), ("(" * 5000, "is longer than"),
    ("(" * 1900 + ")" * 1900, "is no regular expression"), (r"x{99999999999}", "is no regular expression"),
])
def test_a_pattern_that_might_hang_is_refused_with_the_part_that_is_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as error:
        certify(text)
    assert reason in str(error.value)


@pytest.mark.parametrize("written, same", [
    (r"(?<x>a)(?<y1>b+)", r"(?P<x>a)(?P<y1>b+)"), (r"(?<x>a)|(?<=x)b|(?<!x)c", r"(?P<x>a)|(?<=x)b|(?<!x)c"),
    (r"[(?<x>]+", r"[(?<x>]+"), (r"[]\](?<x>]+", r"[]\](?<x>]+"), (r"\(?<x>", r"\(?<x>"), (r"\\(?<x>a)", r"\\(?P<x>a)"),
    (r"(?P<x>a)<x>", r"(?P<x>a)<x>"),
])
def test_a_named_group_may_be_written_as_in_javascript(written: str, same: str) -> None:
    pattern = certify(written)
    assert pattern.text == written and pattern._compiled.pattern == same


@pytest.mark.parametrize("text, reason", [
    (r"(?<x>a)\k<x>", r"a reference to a group (`\1`)"), (r"(?<x>a", "is no regular expression: missing )"),
    (r"(?<1>a)", "is no regular expression: bad character in group name"), (r"\k<x>", "unknown group name 'x'"),
    (r"[\k<x>]", "bad escape"),
])
def test_what_is_wrong_with_a_javascript_group_is_said_as_of_pythons(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as error:
        certify(text)
    assert reason in str(error.value)


@pytest.mark.parametrize("text, without", [
    ("^(?!a).*", "^(?=|a).*"), ("(?<!a(?!b))c", "(?<!a(?=|b))c"), (r"[(?!]\(?!(?=a)(?<=b)", r"[(?!]\(?!(?=a)(?<=b)"),
    ("(a)(?!(b))(c)", "(a)(?=|(b))(c)"), ("a|b", "a|b"), (r"[]\](?!]a", r"[]\](?!]a"),
])
def test_a_pattern_can_be_read_without_what_it_keeps_out(text: str, without: str) -> None:
    assert unbarred(text) == without
    assert certify(without).text == without


def test_a_pattern_may_look_as_far_as_it_likes_where_texts_are_short() -> None:
    pattern = certify(r"^(?!.*memory).*x$", longest=REACH)
    for text in ("memory x", "a memory x", "memor x", "a" * 240 + "x", "a" * 230 + "memory x", "ax\nmemory"):
        assert bool(pattern.search(text)) is bool(re.search(r"^(?!.*memory).*x$", text))
    with pytest.raises(ValueError, match="steps at a single place"):
        certify("(?!" + ".*a" * 5 + ")b", longest=REACH)


@pytest.mark.parametrize("dear, cheap", [
    (r"x.*y.*z", r"x.*y.*"), (r"a+ab", r"a+b"), (r"\s*;\s*\w*\d", r"\s*;\s*\w*;"), (r"x.*y", r"x[^y]*y"),
    ("k+(?i:\u212a)!", "j+(?i:\u212a)!"), (r"(?i)[a-j]+K", r"[a-j]+K"), (r"\w+é!", r"[a-z]+é!"),
    (r"\d*[0-9]$", r"\D*[0-9]$"),
])
def test_a_repeat_that_ends_where_the_next_part_begins_costs_less(dear: str, cheap: str) -> None:
    assert certify(cheap).steps < certify(dear).steps


def test_where_a_pattern_may_end_no_other_way_is_tried() -> None:
    assert 100 * certify(r"\w+\w*").steps < certify(r"\w+\w*!").steps


@pytest.mark.parametrize("text, literals", [
    (r"EMP-\d+", ("EMP-",)), (r"\b[A-Z]{3}-\d{6}\b", ("-",)), (r"password=(.*?);", ("password=",)), (r"a|", ()),
    (r"rm -rf|mkfs|dd if=", ("rm -rf", "mkfs", "dd if=")), (r"(?i)Drop\s+TABLE", ("table",)), (r"(?:xy)?z+", ("z",)),
    (r"[ab]c?", ()), (r"(?i:K)e\u00e9", ("e\u00e9",)), (r"(?=secret)\w+", ()), (r"(?:ab){2,}", ("ab",)),
])
def test_the_texts_that_every_match_holds_are_known(text: str, literals: tuple[str, ...]) -> None:
    assert certify(text).literals == literals


# --- it finds what `re` finds ---

ATOMS = ["a", "b", "ab", "A", "-", r"\w", r"\d", "[ab]", "[^a]", ".", r"\s", "a|b", "ab|b-", "(?i:a)", r"\b", "^", "$",
         r"\B", "(?=b)", "(?!a)", "(?<=a)", "(?<!-)", "\n", "é", "(?i:é)", "(?s:.)", "(?:a|)", "1", r"\Z", r"\A"]
SIGNS = ["", "", "", "", "+", "*", "?", "{2}", "{1,3}", "{2,}", "+?", "*?", "??"]
LETTERS = "aaabbAB-1 \néÉ_"


def some_pattern(rnd: random.Random, depth: int = 2) -> str:
    parts = []
    for _ in range(rnd.randint(1, 4)):
        atom = rnd.choice(ATOMS)
        if depth and rnd.random() < 0.3:
            atom = f"({some_pattern(rnd, depth - 1)})"
        sign = rnd.choice(SIGNS)
        if sign and (len(atom) > 2 or "|" in atom or atom in ("ab", "^", "$")) and not atom.startswith(("(", "[")):
            atom = f"(?:{atom})"
        parts.append(atom + sign)
    return "".join(parts) if rnd.random() < 0.8 else "|".join(parts)


def certified(rnd: random.Random, flag: bool) -> Any:
    while True:
        try:
            return certify(some_pattern(rnd), ignore_case=flag)
        except ValueError:
            continue


def span(found: re.Match[str] | None) -> tuple[int, int] | None:
    return None if found is None else found.span()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.filterwarnings("ignore")
def test_in_short_texts_it_finds_what_re_finds(seed: int) -> None:
    rnd = random.Random(seed)
    for _ in range(250):
        flag = rnd.random() < 0.3
        ours = certified(rnd, flag)
        theirs = re.compile(ours.text, re.IGNORECASE if flag else 0)
        for _ in range(12):
            text = "".join(rnd.choices(LETTERS, k=rnd.randint(0, 30)))
            # With little to spend every place is tried in a window of its own; with much the text is searched as it is.
            for effort in (Effort(), Effort(64 * 1500)):
                try:
                    found = ours.search(text, effort)
                except TooLong:
                    continue
                assert span(found) == span(theirs.search(text)), (ours.text, text)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore")
def test_in_long_texts_it_finds_nothing_that_is_not_there(seed: int) -> None:
    """And what it finds begins at no later place than a match that is well within its reach."""
    rnd = random.Random(seed)
    for _ in range(120):
        ours = certified(rnd, False)
        theirs = re.compile(ours.text)
        text = "".join(rnd.choices("aab-1 \n", k=200)) + rnd.choice("ab-") * 700 + "".join(rnd.choices(LETTERS, k=99))
        try:
            found = ours.search(text)
        except TooLong:
            continue
        expected = theirs.search(text)
        if found is not None:
            assert expected is not None and theirs.match(text, found.start()), (ours.text, found)
        elif expected is not None:
            assert expected.end() - expected.start() > REACH, (ours.text, expected)


@pytest.mark.parametrize("letter", "iks")
def test_a_literal_in_any_case_is_found_where_re_finds_it(letter: str) -> None:
    everything = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    same = set(re.findall(letter, everything, re.IGNORECASE))
    assert len(same) > 2 and all(lowered(each) == letter for each in same)
    assert len(lowered(everything)) == len(everything)
    ours = certify(f"{letter}{letter}-x", ignore_case=True)
    for each in same:
        for front in ("", "\u0130" * 300, "\u00df" * 10):
            assert span(ours.search(f"{front}{each}{each}-X")) == (len(front), len(front) + 4)


@pytest.mark.parametrize("text, found", [
    ("x" * 3000 + "password=" + "y" * 200 + ";", True), ("password=" + "y" * 5000 + ";", True),
    ("password=" + "y" * 200, False), ("y" * 5000, False), ("password=\n" * 50 + ";", False),
], ids=str)
def test_a_cheap_repeat_reaches_further_than_it_must(text: str, found: bool) -> None:
    assert (certify(r"password=(.*?);").search(text) is not None) is found


@pytest.mark.parametrize("distance, found", [(REACH, True), (REACH + 300, False)])
def test_a_repeat_reaches_256_characters_in_a_text_of_any_length(distance: int, found: bool) -> None:
    pattern = certify(r"a.*b.*c")
    text = "a" + "-" * distance + "b" + "-" * distance + "c" + "-" * 200_000
    assert (pattern.search(text) is not None) is found


@pytest.mark.parametrize("pattern, text, found", [
    (r"x+$", "x" * 900, True), (r"x+$", "x" * 900 + "y", False), (r"\bx+\b", "x" * 900 + "y", False),
    (r"x(?!y)", "xy" * 9, False), (r"x[xz]*(?!y)", "x" * 900, True), (r"-x.*z\Z", "-x" + "z" * 1200 + "\n", False),
    (r"x(?=\n{5}y)", "x\n\n\n\n\ny" + "z" * 900, True), (r"x(?!\n{5}y)", "x\n\n\n\n\ny" + "z" * 900, False),
    (r"(?m)-x+$", "-" + "x" * 700 + "\ny", True),
])
def test_the_end_of_what_is_looked_at_is_not_the_end_of_the_text(pattern: str, text: str, found: bool) -> None:
    for effort in (Effort(), Effort(200_000)):
        try:
            assert (certify(pattern).search("\n" * 50 + text, effort) is not None) is found
        except TooLong:
            assert effort.left < 0


# --- it cannot take long ---

HOSTILE = [
    (r"\w+@\w+", "a" * 10**6), (r"\w+@\d+", "a" * 10**6 + "@"), (r"\w+@\d+", "a@" * 500_000), (r"\w+@\w+", "@" * 10**6),
    (r"password=(.*?);", "password=" * 100_000), (r"curl.*\|.*sh", "curl|" * 200_000),
    (r"(\w+\.)+corp", "a." * 500_000 + "corn corp"),
    (r"\s+$", " " * 10**6 + "x"), (r"\s+$", (" " * 255 + "x") * 4000), (r"[A-Z]{3}\d{6}", "AAA11111" * 125_000),
    (r"\d+\d+z", "1" * 10**6), (r"(?i)[a-z]+x", "\u0130" * 10**6), (r"(?:a|b|cd)*x", ("ab" * 200 + "y x") * 2500),
    (r"^.*x.*y", "x" * 10**6), (r".{0,50}.{0,50}.{0,50}q!", "q!" * 500_000),
]


@pytest.mark.parametrize("pattern, text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_costs_more_than_the_budget(pattern: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every try is counted before it is made, with what it may take at most."""
    ours, effort, spent = certify(pattern), Effort(), []
    spend = Effort.spend
    monkeypatch.setattr(Effort, "spend", lambda self, count: (spent.append(count), spend(self, count))[1])
    try:
        ours.search(text, effort)
    except TooLong:
        assert sum(spent) > BUDGET
    assert sum(spent[:-1]) <= BUDGET and len(spent) < BUDGET / 200


def test_the_effort_of_one_message_is_shared_by_its_searches() -> None:
    ours, effort = certify(r"\w+@\d"), Effort()
    with pytest.raises(TooLong):
        for _ in range(10_000):
            assert ours.search("a" * 200 + "@", effort) is None
    assert ours.search("a@1") is not None


class Steps:
    """A backtracking matcher that counts, to hold the bounds against."""

    def __init__(self, text: str) -> None:
        self.text, self.count = text, 0

    def run(self, items: Any, at: int, flags: int, then: Callable[[int], bool]) -> bool:
        if not len(items):
            return then(at)
        (kind, argument), rest = items[0], items[1:]
        self.count += 1
        op = str(kind)
        go: Callable[[int], bool] = lambda end: self.run(rest, end, flags, then)  # noqa: E731
        if op in ("MAX_REPEAT", "MIN_REPEAT"):
            return self.again(argument, 0, at, flags, go, lazy=op == "MIN_REPEAT")
        if op == "SUBPATTERN":
            return self.run(list(argument[3]), at, (flags | argument[1]) & ~argument[2], go)
        if op == "BRANCH":
            return any(self.run(list(choice), at, flags, go) for choice in argument[1])
        if op in ("ASSERT", "ASSERT_NOT", "AT"):
            return self.one(kind, argument, flags, at) and go(at)
        return at < len(self.text) and self.one(kind, argument, flags, at) and go(at + 1)

    def again(self, repeat: Any, done: int, at: int, flags: int, go: Callable[[int], bool], *, lazy: bool) -> bool:
        least, most, body = repeat
        self.count += 1

        def more() -> bool:
            return done < most and self.run(
                list(body), at, flags, lambda end: self.again(repeat, done + 1, end, flags, go, lazy=lazy))

        if done < least:
            return more()
        return go(at) or more() if lazy else more() or go(at)

    def one(self, kind: Any, argument: Any, flags: int, at: int) -> bool:
        """What a single item says is asked of `re` itself."""
        key = (str(kind), str(argument), flags)
        if key not in MADE:
            MADE[key] = re.compile(steps._written([(kind, argument)]), flags & ~re.UNICODE)
        return MADE[key].match(self.text, at) is not None


MADE: dict[tuple[str, str, int], re.Pattern[str]] = {}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore")
def test_a_backtracking_matcher_takes_no_more_steps_than_the_bound(seed: int) -> None:
    rnd = random.Random(f"steps {seed}")
    for _ in range(120):
        ours = certified(rnd, False)
        tree = steps._parser.parse(ours.text)
        shape = steps.parse(ours.text, 0)
        for _ in range(4):
            letters = rnd.sample(LETTERS, k=2)
            text = "".join(rnd.choices(letters, k=rnd.choice((6, 14, 20))))
            counter = Steps(text)
            matched = counter.run(list(tree), 0, tree.state.flags, lambda end: True)
            assert counter.count <= 4 * shape.steps(len(text)) + 8, (ours.text, text, counter.count)
            assert matched is (re.compile(ours.text).match(text) is not None)
