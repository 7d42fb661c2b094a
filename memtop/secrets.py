"""What is masked in command lines. One table, applied before a command line leaves the probe.

It errs on the side of hiding: a masked port number is a nuisance, a shown password an incident.
The environment of a process is never read for showing, so its values need no masking.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from re import Pattern

MASK = "***"

# A name is secret when one of its words is; `max-tokens` or `tokenizer` are not.
SECRET_WORDS = frozenset(
    "password passwd passphrase passcode pass pwd pw secret secrets token apikey accesskey "
    "secretkey privatekey key credential credentials auth authorization bearer cookie pgpassword "
    "dsn signature sig sas jwt otp pin psk passwort".split()
)
# … unless its last word says that the value is only about the secret.
HARMLESS_LAST_WORDS = frozenset(
    "file path dir directory name names id type method mode ttl timeout length size count header "
    "prefix env var url uri host port bits algorithm format policy backend plugin".split()
)
# One word that ends so is secret, too: DBPASS, clientsecret.
SECRET_ENDINGS = ("password", "passwd", "passphrase", "pass", "pwd", "secret", "token", "apikey")
HARMLESS_WORDS = frozenset(("bypass", "compass", "tokens"))
# Words after which a secret stands without any sign: `requirepass x`, `(password x)`.
BARE_WORDS = frozenset("password passwd passphrase requirepass masterauth authtoken".split())
# Programs whose short option is a secret: given together (-pX) or as the next argument.
PASSWORD_OPTIONS: dict[str, tuple[str, ...]] = {
    "mysql": ("-p",),
    "mysqldump": ("-p",),
    "mysqladmin": ("-p",),
    "mongo": ("-p",),
    "mongosh": ("-p",),
    "mongodump": ("-p",),
    "mongorestore": ("-p",),
    "mycli": ("-p",),
    "curl": ("-b",),
    "mariadb": ("-p",),
    "sshpass": ("-p",),
    "redis-cli": ("-a",),
    "ldapsearch": ("-w",),
    "zip": ("-P",),
    "unzip": ("-P",),
    "7z": ("-p",),
    "sqlcmd": ("-P",),
    "mosquitto_pub": ("-P",),
    "mosquitto_sub": ("-P",),
}
BARE_ARGUMENTS = BARE_WORDS | {"bearer"}
LONGEST_PORT = 5  # -p8080 is a port; longer digits may be a password

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_USER = re.compile(r"--(?:proxy-)?user\Z|-[fgikLsSv]{0,5}[uU]\Z")  # curl -su, smbclient -U
_SIGN = re.compile(r"[:%]")  # between user and password
_OPTION = re.compile(r"-{1,2}([A-Za-z][\w.-]*)\Z")
# An argument that is an assignment as a whole: all that follows the sign is its value.
_WHOLE = re.compile(r"(-{0,2}([A-Za-z_][\w.-]{0,99})=).", re.DOTALL)
# name=value, name: value, "name": "value", "name": ["value"], inside of code, URLs, shell lines.
# Every pattern begins where a name can begin and has a bounded name, so that no text makes it slow.
# Names and signs only: behind a name that is none of a secret another may stand, a=b,password=c.
_NAMED = re.compile(
    r"""(?<![\w.-])(?P<name>-{0,2}[A-Za-z_][\w.-]{0,99})"""
    r"""(?:\\{0,3}["'])?\]?\s{0,9}(?:=>|:=|={1,2}|:(?!//)|(?i:%3D))\s{0,9}"""
)
_BARE_NAMES = "|".join(sorted(BARE_WORDS))
_SPACED = re.compile(
    rf"(?<![\w.-])(?P<name>--?[A-Za-z][\w.-]{{0,99}}|(?i:{_BARE_NAMES}))\s+(?=[^\s=:])"
)
_VALUE = re.compile(
    r"""(?P<begin>(?:\\{1,3}|(?i:[bfru]{1,2}))?(?P<quote>["']))(?:\\.|(?!(?P=quote)).)*"""
    r"""(?P<end>(?P=quote)?)|\[[^\]]*\]?|[^\s"'&;]+""",
    re.DOTALL,
)

# Pattern and replacement, for one argument at a time.
PATTERNS: tuple[tuple[Pattern[str], str], ...] = (
    # Authorization: Bearer x, Basic x, token x; cookies
    (re.compile(r"(?i)\b(bearer|basic|digest|negotiate)(\s+|%20)[\w.~+/=-]{4,}"), rf"\1\2{MASK}"),
    (re.compile(r"(?i)\b(authorization\s{0,9}[:=]\s{0,9}(?:\w+\s+)?)\S+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(cookie\s{0,9}[:=]).+", re.DOTALL), rf"\1 {MASK}"),
    # scheme://user:password@host, scheme://:password@host, scheme://token@host
    (re.compile(r"(?i)\b(https?://)[^\s/:@?#]{6,200}:(?:x-oauth-basic)?@"), rf"\1{MASK}@"),
    (
        re.compile(r"(?i)\A([a-z][a-z0-9+._-]{0,30}://[^\s/:?#]{0,200}):.*@", re.DOTALL),
        rf"\1:{MASK}@",
    ),
    (re.compile(r"(?i)\b([a-z][a-z0-9+._-]{0,30}://[^\s/:?#]{0,200}):\S*@"), rf"\1:{MASK}@"),
    (re.compile(r"(?i)\b(https?://)[\w.~%-]{6,}@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)[\w.~%-]{16,}@"), rf"\1{MASK}@"),
    # user:password@host
    (
        re.compile(r"(?:(?<=//)|(?<![\w/.@:-]))([\w.+-]{1,64}):(?!//)([^\s@]{1,200})@(?=[\w.-])"),
        rf"\1:{MASK}@",
    ),
    (re.compile(r"\b(hooks\.slack\.com/services/)\S+"), rf"\1{MASK}"),
    # tokens that name themselves: GitHub, GitLab, Slack, OpenAI, AWS, Stripe, Docker, Shopify,
    # Vault, SendGrid, Google, JWT
    (
        re.compile(
            r"\b(?:gh[opusr]_|github_pat_|glpat-|xox[abeprs]-|sk-|AKIA|ASIA|hf_|npm_|pypi-|"
            r"[rs]k_(?:live|test)_|whsec_|dckr_pat_|shp(?:at|ca|pa|ss)_|hv[bs]\.|SG\.|AIza|ya29\.)"
            r"[\w.-]{8,}"
        ),
        MASK,
    ),
    (re.compile(r"\beyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*)?"), MASK),
    (re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*", re.DOTALL), MASK),
    # <password>x</password>
    (re.compile(r"(?i)(<(?:password|passwd|secret|token|apikey)>)[^<]*"), rf"\1{MASK}"),
    # curl -u user:password, within a shell line
    (re.compile(r"(\s-u\s*|\s--(?:proxy-)?user[= ])([^\s:]{1,200}):\S+"), rf"\1\2:{MASK}"),
    # -pPASSWORD, within a shell line
    (re.compile(r"(\s-p)(?!\d{1,5}(?:\s|$))[^\s-]\S*"), rf"\1{MASK}"),
)


def is_secret_name(name: str) -> bool:
    """Whether the value of an option, variable or key of this name is to be hidden."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in HARMLESS_LAST_WORDS:
        return False
    if any(word in SECRET_WORDS for word in words):
        return True
    if any(word.endswith(SECRET_ENDINGS) and word not in HARMLESS_WORDS for word in words):
        return True
    return any(part in "".join(words) for part in ("password", "passwd", "passphrase", "apikey"))


def mask_text(text: str) -> str:
    """What somebody has typed (a mark, a filter), with every secret replaced by `***`."""
    return mask_argv((text,))[0]


@lru_cache(maxsize=4096)
def mask_name(raw: bytes) -> str:
    """The name of a process or a thread (comm), which may be the begin of a title."""
    return mask_argv(("", raw.decode("utf-8", "surrogateescape")))[1]


def mask_argv(argv: Sequence[str], extra: Iterable[Pattern[str]] = ()) -> tuple[str, ...]:
    """The arguments with every secret replaced by `***`; `extra` hides whole matches besides."""
    masked: list[str] = []
    extras = tuple(extra)
    program = argv[0].rsplit("/", 1)[-1] if argv else ""
    if program in ("docker", "podman", "helm", "oras") and "login" in argv:
        secret_options: tuple[str, ...] = ("-p",)
    else:
        secret_options = PASSWORD_OPTIONS.get(program, ())
    is_httpie = program in ("http", "https")
    hide_next = hide_after_sign = in_key = False
    for index, argument in enumerate(argv):
        if (hide_next and argument) or in_key:
            masked.append(MASK)
            in_key = in_key and "-----END" not in argument
            hide_next = False
            continue
        if hide_after_sign and (sign := _SIGN.search(argument)):
            argument = argument[: sign.end()] + MASK
        option = _OPTION.match(argument)
        hide_next = index > 0 and (
            bool(option and is_secret_name(option[1]))
            or argument in secret_options
            or argument.lower() in BARE_ARGUMENTS
        )
        hide_after_sign = bool(_USER.match(argument)) or (argument == "-a" and is_httpie)
        in_key = "-----BEGIN" in argument and "-----END" not in argument
        masked.append(_mask_argument(argument, secret_options if index else None, extras))
    return tuple(masked)


def _mask_argument(
    argument: str, secret_options: tuple[str, ...] | None, extras: tuple[Pattern[str], ...]
) -> str:
    """One argument; `secret_options` is None for the program itself."""
    whole = _WHOLE.match(argument)
    if whole and is_secret_name(whole[2]):
        return whole[1] + MASK
    if secret_options is not None and argument[:1] == "-" and len(argument) > 2:
        value, option = argument[2:], argument[:2]
        is_port = value.isdigit() and len(value) <= LONGEST_PORT
        if option in secret_options or (option == "-p" and not is_port):
            return option + MASK
        if option in ("-u", "-U") and (sign := _SIGN.search(value)):
            return option + value[: sign.end()] + MASK
        if argument.startswith(("--user=", "--proxy-user=")) and ":" in argument:
            return argument.split(":", 1)[0] + ":" + MASK
    for pattern, replacement in PATTERNS:
        argument = pattern.sub(replacement, argument)
    if "=" in argument or ":" in argument or "%3" in argument:
        argument = _mask_values(argument, _NAMED)
    if len(argument.split(None, 1)) > 1:
        argument = _mask_values(argument, _SPACED)
    for pattern in extras:
        argument = pattern.sub(MASK, argument)
    return argument


def _mask_values(text: str, names: Pattern[str]) -> str:
    """The text without the values that stand behind names of secrets."""
    made: list[str] = []
    at = 0
    for name in names.finditer(text):
        if name.start() < at or not _is_of_secret(name["name"]):
            continue
        value = _VALUE.match(text, name.end())
        if value is None or value[0].startswith(MASK):
            continue
        made += (text[at : name.end()], value["begin"] or "", MASK, value["end"] or "")
        at = value.end()
    return "".join(made) + text[at:]


def _is_of_secret(name: str) -> bool:
    return name.lower() in BARE_WORDS or is_secret_name(name.lstrip("-"))
