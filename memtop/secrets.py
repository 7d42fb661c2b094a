"""What is masked in command lines. One table, applied before a command line leaves the probe.

It errs on the side of hiding: a masked port number is a nuisance, a shown password an incident.
The environment of a process is never read for showing, so its values need no masking.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from re import Pattern

MASK = "***"

# A name is secret when one of its words is; `max-tokens` or `tokenizer` are not.
SECRET_WORDS = frozenset(
    "password passwd passphrase passcode pass pwd secret secrets token apikey accesskey secretkey "
    "privatekey key credential credentials auth authorization bearer cookie pgpassword dsn "
    "signature sig sas jwt otp pin".split()
)
# … unless its last word says that the value is only about the secret.
HARMLESS_LAST_WORDS = frozenset(
    "file path dir directory name names id type method mode ttl timeout length size count header "
    "prefix env var url uri host port bits algorithm format policy backend plugin".split()
)
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_OPTION = re.compile(r"-{1,2}([A-Za-z][\w.-]*)\Z")
# name=value, name: value, "name": "value"; also inside code, URLs and shell lines. A value in
# quotes ends with its quote.
_ASSIGNMENT = re.compile(
    r"(?P<name>[A-Za-z_][\w.-]*)(?P<sign>[\"']?\s*(?:=|:(?!//))\s*)"
    r"(?:(?P<quote>[\"'])(?P<quoted>.*?)(?P=quote)|(?P<value>[^\s\"'&;,)}\]]+))",
    re.DOTALL,
)
_SPACED_OPTION = re.compile(r"(?P<option>--?[A-Za-z][\w.-]*)(?P<sign>\s+)(?P<value>[^\s-]\S*)")

# Pattern and replacement, for one argument at a time.
PATTERNS: tuple[tuple[Pattern[str], str], ...] = (
    # Authorization: Bearer x, Basic x, token x
    (re.compile(r"(?i)\b(bearer|basic|digest|negotiate)(\s+|%20)[\w.~+/=-]{4,}"), rf"\1\2{MASK}"),
    (re.compile(r"(?i)\b(authorization\s*[:=]\s*(?:\w+\s+)?)\S+"), rf"\1{MASK}"),
    # scheme://user:password@host, scheme://:password@host
    (re.compile(r"(?i)([a-z][a-z0-9+.-]*://[^\s/:@?#]*):[^\s/]*@"), rf"\1:{MASK}@"),
    # scheme://a-long-token@host
    (re.compile(r"(?i)([a-z][a-z0-9+.-]*://)[\w.-]{16,}@"), rf"\1{MASK}@"),
    # tokens that name themselves: GitHub, GitLab, Slack, OpenAI, AWS, JWT
    (
        re.compile(
            r"\b(?:gh[opusr]_|github_pat_|glpat-|xox[abeprs]-|sk-|AKIA|ASIA|hf_|npm_|pypi-)"
            r"[\w-]{8,}"
        ),
        MASK,
    ),
    (re.compile(r"\beyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*)?"), MASK),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*"), MASK),
)
# Programs whose -pVALUE is a password, digits too.
_SHORT_PASSWORD = re.compile(r"(?:mysql|mariadb|sshpass|mongo|7z|zip|unrar)")
_MYSQL_IN_SHELL = re.compile(r"((?:mysql|mariadb|sshpass)\w*\b[^|;&]*?\s-p)(\S+)")


def is_secret_name(name: str) -> bool:
    """Whether the value of an option, variable or key of this name is to be hidden."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in HARMLESS_LAST_WORDS:
        return False
    if any(word in SECRET_WORDS for word in words):
        return True
    joined = "".join(words)
    return any(part in joined for part in ("password", "passwd", "passphrase", "apikey"))


def mask_argv(argv: Sequence[str], extra: Iterable[Pattern[str]] = ()) -> tuple[str, ...]:
    """The arguments with every secret replaced by `***`; `extra` hides whole matches besides."""
    masked: list[str] = []
    extras = tuple(extra)
    program = argv[0].rsplit("/", 1)[-1] if argv else ""
    hide_next = hide_after_colon = False
    for index, argument in enumerate(argv):
        if hide_next and not argument.startswith("--"):
            masked.append(MASK)
            hide_next = False
            continue
        if hide_after_colon and ":" in argument:
            argument = argument.split(":", 1)[0] + ":" + MASK
        option = _OPTION.match(argument)
        hide_next = bool(index and option and is_secret_name(option[1]))
        hide_after_colon = argument in ("-u", "--user", "--proxy-user")
        masked.append(_mask_argument(argument, program if index else "", extras))
    return tuple(masked)


def _mask_argument(argument: str, program: str, extras: tuple[Pattern[str], ...]) -> str:
    if program and argument.startswith("-p") and len(argument) > 2:
        value = argument[2:]
        if _SHORT_PASSWORD.match(program) or not (value.isdigit() and len(value) <= 5):
            return "-p" + MASK
    for pattern, replacement in PATTERNS:
        argument = pattern.sub(replacement, argument)
    if "=" in argument or ":" in argument:
        argument = _ASSIGNMENT.sub(_mask_assignment, argument)
    if " " in argument:
        argument = _SPACED_OPTION.sub(_mask_spaced_option, argument)
        argument = _MYSQL_IN_SHELL.sub(rf"\g<1>{MASK}", argument)
    for pattern in extras:
        argument = pattern.sub(MASK, argument)
    return argument


def _mask_assignment(match: re.Match[str]) -> str:
    if not is_secret_name(match["name"]) or match["value"] == MASK:
        return match[0]
    quote = match["quote"] or ""
    return f"{match['name']}{match['sign']}{quote}{MASK}{quote}"


def _mask_spaced_option(match: re.Match[str]) -> str:
    if not is_secret_name(match["option"].lstrip("-")):
        return match[0]
    return f"{match['option']}{match['sign']}{MASK}"
