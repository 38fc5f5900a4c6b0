"""What users may write, and what a command answers to the rest."""

import pytest

from lattice_flows.command_line import Flag, UsageError, parse, shared

FLAGS = (
    Flag("table", "what to run", "ensemble", choices=("E1", "E2")),
    Flag("names", "what to run", "some names", list, []),
    Flag("kinds", "what to run", "some kinds", list, [], choices=("flow", "chain")),
    Flag("over", "what to run", "one of many", several=True),
    Flag("extents", "physics", "of a lattice", tuple),
    *shared("resume", "seed", "target_acceptance", "out"),
)


def parsed(*arguments):
    return parse("python scripts/mine.py", "Does it.", FLAGS, ["--out=o", *arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        ("--seed=7", "--resume", "--table", "E2", "--target_acceptance=0.5", "--names=a,b"),
        ("-seed", "7", "--resume=true", "--table=E2", "--target-acceptance", "0.5", "--names", "a, b"),
        ("--seed", "7e0", "--noresume", "--resume=1", "-table=E2", "--target_acceptance", "5e-1", "--names", "a,b,"),
    ],
)
def test_spellings(arguments):
    flags = parsed(*arguments)
    assert (flags.seed, flags.resume, flags.table, flags.target_acceptance, flags.names) == (7, True, "E2", 0.5, ["a", "b"])


def test_a_flag_that_is_not_given_has_its_default():
    flags = parsed()
    assert (flags.seed, flags.resume, flags.table, flags.names, flags.out) == (None, False, None, [], "o")
    assert parsed("--resume", "--noresume").resume is False


def test_lists_and_flags_that_are_given_more_than_once():
    flags = parsed("--kinds=chain,flow", "--over=a=1,2", "--extents=8, 8,16", "--over", "b=[1,2]")
    assert (flags.kinds, flags.over, flags.extents) == (["chain", "flow"], ["a=1,2", "b=[1,2]"], [8, 8, 16])
    assert parsed("--over=a").over == ["a"] and parsed().over is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tabel=E1"], r"unknown flag '--tabel': did you mean '--table'\?"),
        (["--xyz"], r"unknown flag '--xyz': known: --extents, --help, --kinds"),
        (["E1"], r"unexpected argument 'E1': every option is a flag, such as --table"),
        (["--table=E11"], r"flag --table: unknown value 'E11': did you mean 'E1'\?"),
        (["--kinds=flow,chian"], r"flag --kinds: unknown value 'chian': did you mean 'chain'\?"),
        (["--extents=4,,8"], r"flag --extents: '4,,8' is not a list of integers between commas, such as 8,8"),
        (["--seed=many"], r"flag --seed: 'many' is not an integer"),
        (["--seed=1.5"], r"flag --seed: '1.5' is not an integer"),
        (["--target_acceptance=half"], r"flag --target_acceptance: 'half' is not a number"),
        (["--resume=perhaps"], r"flag --resume: 'perhaps' is neither true nor false"),
        (["--seed"], r"flag --seed: a value is missing"),
        (["--names="], r"^flag --names: a value is missing$"),
        (["--kinds=,"], r"^flag --kinds: a value is missing$"),
        (["--target_acceptance=nan"], r"flag --target_acceptance: 'nan' is not a finite number"),
        (["--target_acceptance", "-inf"], r"flag --target_acceptance: '-inf' is not a finite number"),
        (["--seed=1e999"], r"flag --seed: '1e999' is not an integer"),
        (["--seed=" + "9" * 5000], r"flag --seed: '9{90,}.* \.\.\. is not an integer"),
        (["--flagfile=/etc/passwd"], r"unknown flag '--flagfile': known: "),
        (["-flagfile", "/etc/passwd"], r"unknown flag '--flagfile': known: "),
        (["--two\nlines=1"], r"unknown flag '--two\\nlines': "),
        (["--undefok=xyz", "--xyz"], r"unknown flag '--undefok'"),
        (["--see=1"], r"unknown flag '--see': did you mean '--seed'\?"),  # no abbreviations
    ],
)
def test_refusals_name_the_nearest(arguments, message):
    with pytest.raises(UsageError, match=message):
        parsed(*arguments)


def test_missing_flags_are_named_after_unknown_ones():
    with pytest.raises(UsageError, match=r"^missing: --out$"):
        parse("p", "", FLAGS, [])
    with pytest.raises(UsageError, match=r"unknown flag '--otu'"):
        parse("p", "", FLAGS, ["--otu=x"])
    with pytest.raises(UsageError, match=r"^missing: ENSEMBLE$"):
        parse("p", "", (Flag("ensemble", "what to run", "file", positional=True, required=True),), [])


def test_several_arguments_without_a_name(capsys):
    flags = (Flag("run", "what to run", "run folders", positional=True, several=True, required=True), *shared("resume"))
    assert parse("p", "", flags, ["a", "--resume", "b"]).run == ["a", "b"]
    with pytest.raises(UsageError, match=r"^missing: RUN$"):
        parse("p", "", flags, ["--resume"])
    with pytest.raises(SystemExit):
        parse("p", "", flags, ["--help"])
    assert capsys.readouterr().out.startswith("usage: p RUN [RUN ...] [flags]\n")


def test_the_help_shows_all_flags_in_groups_with_their_defaults(capsys):
    with pytest.raises(SystemExit) as exit_of:
        parsed("--help")
    text = capsys.readouterr().out
    assert exit_of.value.code == 0 and text.startswith("usage: python scripts/mine.py [flags]\n\nDoes it.")
    places = [text.index(f"\n{title}:\n") for title in ("what to run", "physics", "training", "output", "help")]
    assert places == sorted(places) and "sampling:" not in text
    for line in ("--table E1|E2 ", "(default: none)", "--seed N ", "(default: from the configuration)", "--out OUT", "(required)"):
        assert line in text
    assert "--noresume" not in text and "--helpfull" not in text


def test_numbers_without_a_key_are_positive():
    flags = (Flag("seconds", "training", "time", float, 20.0, positive=True),)
    assert parse("p", "", flags, ["--seconds=0.5"]).seconds == 0.5
    for value in ("0", "-1"):
        with pytest.raises(UsageError, match=rf"flag --seconds has the value {value}\S*: it must be greater than 0"):
            parse("p", "", flags, [f"--seconds={value}"])


def test_flags_that_contradict_each_other_are_named(capsys):
    flags = (
        Flag("stored", "what to run", "train nothing", bool, False, excludes=("seed", "out"), because="nothing is trained"),
        *shared("seed", "out"),
    )
    assert parse("p", "", flags, ["--nostored", "--seed=0", "--out=x"]).seed == 0
    with pytest.raises(SystemExit):
        parse("p", "", flags, ["--help"])
    assert "train nothing (default: no; not with --seed, --out)" in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"^--stored and --seed, --out contradict each other, nothing is trained: leave out --sto"):
        parse("p", "", flags, ["--stored", "--seed=0", "--out=x"])
