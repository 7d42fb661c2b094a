"""The settings: what a file and the environment may say, and how a file is changed."""

import dataclasses
import os
import re
import stat
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memtop import config
from memtop.columns import BY_ID, COLUMNS
from memtop.config import Config, ConfigError
from memtop.errors import MemtopError

IDS = [column.id for column in COLUMNS]


@pytest.fixture
def file(tmp_path):
    """Writes a config file and returns its path."""

    def write(text):
        path = tmp_path / "memtop.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def failure(path, environ=None):
    with pytest.raises(ConfigError) as caught:
        config.load(path, environ or {})
    assert caught.value.exit_code == 2
    return caught.value


def loaded(text):
    """The values of a text that is not in a file."""
    return Config(**config._read(text, None)[0])


# -- the table ---------------------------------------------------------------------------------


def test_the_default_file_says_exactly_the_defaults(file):
    """The annotated default file loads to the settings without any file."""
    assert config.load(file(config.default_text()), {}) == Config() == config.load(None, {})


def test_the_default_file_explains_every_setting():
    """Every field of the dataclass is in the default file with its variable."""
    text = config.default_text()

    assert {field.name for field in dataclasses.fields(Config)} == {
        *config.FIELDS.values(),
        "origins",
    }
    for key, setting in config.SETTINGS.items():
        assert re.search(rf"^(# )?(\[keys\]|{key} = )", text, re.MULTILINE)
        assert setting.help in text
        assert config.VARIABLES.get(key, "") in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_example_of_keys_in_the_default_file_is_right(file):
    """What the default file shows commented out may be taken in as it is."""
    text = config.default_text().replace("# [keys]\n# ", "[keys]\n")

    assert config.load(file(text), {}).keys == {"quit": "q,f10"}


def test_importing_is_light():
    """Importing the settings, and loading them without a file, leaves TOML and paths alone."""
    code = (
        "import sys; from memtop import config; config.load(None, {});"
        "config.find({'HOME': '/nonexistent'});"
        "print(sorted({'tomllib', 'tomli', 'difflib', 'textwrap', 'pathlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)

    # An editable install may have loaded pathlib before.
    assert done.stdout.strip() in ("[]", "['pathlib']"), done.stderr


# -- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ('interval = "2s"', "interval_s", 2.0),
        ('interval = "1m"', "interval_s", 60.0),
        ("interval = 0.1", "interval_s", 0.1),
        ("interval = 3", "interval_s", 3.0),
        ('theme = "ansi"', "theme", "ansi"),
        ('columns = ["user", "mem", "rss"]', "columns", ("user", "rss")),
        ("columns = [\n  'cpu', # one\n  'thr',\n]", "columns", ("cpu", "threads")),
        ('sort = "growth"', "sort", "rate"),
        ('filter = "python rss>500m"', "filter", "python rss>500m"),
        ('view = "user"', "view", "user"),
        ("ascii = true", "ascii", True),
        ("mouse = false", "mouse", False),
        (r"mask = ['acct-\d+']", "mask", (re.compile(r"acct-\d+"),)),
        ('preset = "vim"', "preset", "vim"),
        ('preset = "htop"', "preset", "htop"),
        ('[keys]\nquit = "q, f10"\n', "keys", {"quit": "q,f10"}),
        ('keys = { quit = "x", view = "w" }', "keys", {"quit": "x", "view": "w"}),
        ('keys.quit = "x"', "keys", {"quit": "x"}),
    ],
)
def test_good_values_are_read(file, line, field, value):
    """Each setting takes what its comment says; aliases become ids, and nothing else changes."""
    expected = dataclasses.replace(Config(), **{field: value})

    assert config.load(file(line), {}) == expected


@pytest.mark.parametrize(
    ("line", "key", "says"),
    [
        ("interval = 0.05", "interval", "0.05 is not a time within bounds"),
        ("interval = true", "interval", "true is not"),
        ("interval = nan", "interval", "nan is not"),
        ("interval = inf", "interval", "inf is not"),
        ("interval = -1", "interval", "-1 is not"),
        ("interval = 1" + "0" * 400, "interval", "is not a time"),
        ('interval = "soon"', "interval", "'soon' is not a duration"),
        ("interval = 2026-01-01", "interval", "2026-01-01"),
        ("interval = []", "interval", "a list is not"),
        ('theme = "drak"', "theme", '"drak" is not known; allowed: auto, dark, light, ansi'),
        ("theme = 1", "theme", "1 is not known"),
        ("theme = ['dark']", "theme", "a list is not known"),
        ('columns = "rss"', "columns", '"rss" is not a list'),
        ('columns = ["rss", "size"]', "columns", '"size" is not known; allowed: a list of pid'),
        ('sort = "size"', "sort", '"size" is not known; allowed: pid, ppid'),
        ("filter = 3", "filter", "3 is not a text"),
        ('view = "table"', "view", "tree, container, user, flat"),
        ('ascii = "yes"', "ascii", "allowed: true, false"),
        ("mouse = 1", "mouse", "1 is not known; allowed: true, false"),
        ("mask = ['a', '(']", "mask", '"(" is not a regular expression: missing )'),
        ("mask = ['a{99999999999999}']", "mask", "is not a regular expression"),
        ("mask = ['x*']", "mask", "matches the empty text"),
        ("mask = 'x'", "mask", "is not a list"),
        ("mask = [1]", "mask", "1 is not a text"),
        ('preset = "emacs"', "preset", 'allowed: "", vim, htop'),
        ("keys = 'q'", "keys", "is not a table"),
        ('keys.quit = "q,"', "keys.quit", '"q," does not name keys'),
        ('keys.quit = "q f10"', "keys.quit", "does not name keys"),
        ("keys.quit = ''", "keys.quit", "does not name keys"),
        ("keys.quit = ['q']", "keys.quit", "a list does not name keys"),
        ("keys = [[1]]", "keys", "a list is not a table"),
        ('thme = "dark"', "thme", "there is no such setting; is theme meant?"),
        ("zzz = 1", "zzz", "there is no such setting; there are interval, theme, columns"),
        ("colours.red = 1", "colours", "there is no such setting"),
        ("[colours]", "colours", "there is no such setting"),
        ("[[colours]]\nred = 1", "colours", "there is no such setting"),
    ],
)
def test_bad_values_name_file_line_and_key(file, line, key, says):
    """What is wrong is said with the file, the line, the key and what is allowed."""
    path = file(f"# a comment with theme = 1\n\n{line}\n")

    error = failure(path)

    assert error.message.startswith(f"{path}, line 3: {key}: ")
    assert says in error.message
    assert (error.path, error.line, error.key) == (path, 3, key)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("\ntheme = dark\n", 2, "texts need quotation marks"),
        ('theme = "dark', 1, "not TOML"),
        ("columns = [\n'rss',\n", 3, "not TOML"),
        ('theme = "dark"\ntheme = "light"\n', 2, "Cannot overwrite"),
        ("x = " + "[" * 5000, None, "not TOML"),
        (".".join("a" * 5000) + " = 1", None, ""),
        ("interval = 1" + "0" * 5000, None, ""),
        ("a\x00b", 1, "not TOML"),
    ],
)
def test_what_is_not_toml_names_the_line(file, text, line, says):
    """A file that is no TOML is an error with its line, where the line is known."""
    error = failure(file(text))

    assert says in error.message
    assert str(error.path) in error.message
    assert line is None or error.line == line


@pytest.mark.parametrize(
    "before",
    [
        'filter = "theme = 1 # [ {"',
        "filter = 'theme = \"'",
        'filter = """\ntheme = 1\n[keys]\n"quoted" """',
        'filter = """a\\"""\ntheme = "x" """',
        'filter = """two at the end"""""',
        "filter = '''\ntheme = 1\n'''",
        "filter = '''two at the end'''''",
        'columns = [ # theme = [\n  "rss", # ]\n  "cpu",\n]',
        '"filter" = ""  # theme = 1',
        "ascii=true\r\nmouse=true\r",
    ],
)
def test_lines_are_found_behind_anything(file, before):
    """Signs inside of strings, comments and lists do not lead the search for a line astray."""
    error = failure(file(f'{before}\ntheme = "x"  # = 1\nview = "tree"\n'))

    assert error.key == "theme"
    assert error.line == before.count("\n") + 2


def test_a_key_is_found_in_its_own_table(file):
    """A binding that is called like a setting has its own line."""
    path = file('sort = "rss"\n\n[keys]\nview = "v"\nsort = "a b"\n')

    assert failure(path).line == 5


# -- bindings and what others judge ------------------------------------------------------------


def test_unknown_bindings_are_named_with_their_line(file):
    """A binding that does not exist is an error with file, line and the nearest known one."""
    path = file('theme = "dark"\n[keys]\nquit = "x"\nqiut = "y"\n')
    settings = config.load(path, {})

    error = config.unknown_keys(settings, ["quit", "view"])

    assert error.message == f"{path}, line 4: keys.qiut: there is no such binding; is quit meant?"
    assert (error.line, error.key) == (4, "keys.qiut")
    assert config.unknown_keys(settings, ["quit", "qiut"]) is None


def test_a_setting_below_the_keys_is_recognised(file):
    """Who writes a setting behind the header of the keys is told so."""
    settings = config.load(file('[keys]\ntheme = "dark"\n'), {})

    assert "belongs above [keys]" in config.unknown_keys(settings, ["quit"]).message


def test_errors_of_others_have_the_place(file):
    """A filter that only the model can judge is blamed on its line, or on its variable."""
    path = file('\nfilter = "rss>"\n')
    from_file = config.wrong(config.load(path, {}), "filter", "no value")
    variable = config.load(path, {"MEMTOP_FILTER": "cpu>"})
    from_variable = config.wrong(variable, "filter", "no value")

    assert from_file.message == f"{path}, line 2: filter: no value"
    assert from_variable.message == "MEMTOP_FILTER: no value"
    assert (from_variable.path, from_variable.line, from_variable.key) == (None, None, "filter")


# -- the environment ---------------------------------------------------------------------------


OTHERS = """\
interval = 9
theme = "dark"
columns = ["pid"]
sort = "pid"
filter = "x"
view = "flat"
ascii = false
mouse = true
preset = "htop"
"""


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("MEMTOP_INTERVAL", "500ms", "interval_s", 0.5),
        ("MEMTOP_INTERVAL", "2", "interval_s", 2.0),
        ("MEMTOP_THEME", "light", "theme", "light"),
        ("MEMTOP_COLUMNS", "mem, user,", "columns", ("rss", "user")),
        ("MEMTOP_SORT", "cpu", "sort", "cpu"),
        ("MEMTOP_FILTER", "worker !test", "filter", "worker !test"),
        ("MEMTOP_VIEW", "container", "view", "container"),
        ("MEMTOP_ASCII", "1", "ascii", True),
        ("MEMTOP_ASCII", "Yes", "ascii", True),
        ("MEMTOP_MOUSE", "off", "mouse", False),
        ("MEMTOP_PRESET", "vim", "preset", "vim"),
    ],
)
def test_the_environment_beats_the_file(file, variable, text, field, value):
    """A variable beats the line of the file; an empty one is as good as none."""
    path = file(OTHERS)

    assert getattr(config.load(path, {variable: text}), field) == value
    assert getattr(config.load(path, {}), field) != value
    assert config.load(path, {variable: " "}) == config.load(path, {})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MEMTOP_INTERVAL", "0"),
        ("MEMTOP_THEME", "blue"),
        ("MEMTOP_COLUMNS", "rss,size"),
        ("MEMTOP_SORT", "size"),
        ("MEMTOP_FILTER", "\udcff"),
        ("MEMTOP_VIEW", "Tree"),
        ("MEMTOP_ASCII", "maybe"),
        ("MEMTOP_MOUSE", "2"),
        ("MEMTOP_PRESET", "emacs"),
    ],
)
def test_wrong_variables_are_named(variable, text):
    """An error of the environment names the variable and what is allowed, and no file."""
    error = failure(None, {variable: text})

    assert error.message.startswith(f"{variable}: ")
    assert "allowed: " in error.message
    assert (error.path, error.line) == (None, None)


# -- files -------------------------------------------------------------------------------------


def test_the_file_in_force(tmp_path):
    """An explicit path beats the variable, that beats the XDG folder, that beats the home."""
    home, xdg = tmp_path / "home", tmp_path / "xdg"
    at_home = home / ".config" / "memtop" / "memtop.toml"
    in_xdg = xdg / "memtop" / "memtop.toml"
    named, explicit = tmp_path / "named.toml", tmp_path / "explicit.toml"
    environ = {"HOME": str(home)}

    assert config.find(environ) is None
    for path in (at_home, in_xdg, named, explicit):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert config.find(environ) == at_home
    environ["XDG_CONFIG_HOME"] = "relative"
    assert config.find(environ) == at_home
    environ["XDG_CONFIG_HOME"] = str(xdg)
    assert config.find(environ) == in_xdg
    environ["MEMTOP_CONFIG"] = str(named)
    assert config.find(environ) == named
    assert config.find(environ, str(explicit)) == explicit


def test_a_file_that_was_asked_for_has_to_exist(tmp_path):
    """A missing file is an error if it was named, by option or by variable."""
    missing = str(tmp_path / "none.toml")

    with pytest.raises(ConfigError, match="No such file"):
        config.find({}, missing)
    with pytest.raises(ConfigError, match="MEMTOP_CONFIG"):
        config.find({"MEMTOP_CONFIG": missing})


def test_a_folder_is_no_file(tmp_path):
    """A folder in the place of the file is an error, not a traceback."""
    error = failure(tmp_path)

    assert error.message == f"{tmp_path}: cannot be read: Is a directory"


def test_an_unreadable_file_is_an_error(file, monkeypatch):
    """A file without the right to read it is an error that names it."""
    path = file("")
    if os.geteuid() == 0:  # root reads everything

        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", refuse)
    else:
        path.chmod(0)

    assert failure(path).message == f"{path}: cannot be read: Permission denied"


def test_what_is_no_text_is_an_error(file):
    """A file that is not UTF-8 is an error with the line; a byte order mark is none."""
    error = failure(file(b'theme = "dark"\nfilter = "\xff"\n'))

    assert (error.line, "not UTF-8" in error.message) == (2, True)
    assert config.load(file(b'\xef\xbb\xbftheme = "dark"'), {}).theme == "dark"


def test_an_endless_file_is_an_error():
    """Reading stops at a bound."""
    from pathlib import Path

    assert "too large" in failure(Path("/dev/zero")).message


# -- changing a file ---------------------------------------------------------------------------

ANNOTATED = """\
# mine
theme = "dark"   # at night
columns = [
    "rss",  # the first
    "cpu",
]   # enough
interval=2

# the keys
[keys]
quit = "x"  # theme = 1
sort = "o"
"""


def test_changes_leave_comments_and_other_lines():
    """Values are replaced where they stand, new keys follow the last one, the rest stays."""
    changes = {"theme": "light", "columns": ("user",), "sort": "rss", "interval": 2.0}

    text = config.updated_text(ANNOTATED, changes)

    assert text == (
        '# mine\ntheme = "light"   # at night\ncolumns = ["user"]   # enough\ninterval=2\n'
        'sort = "rss"\n\n# the keys\n[keys]\nquit = "x"  # theme = 1\nsort = "o"\n'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 'theme = "light"\n'),
        ("# only\n", '# only\ntheme = "light"\n'),
        ("ascii = true", 'ascii = true\ntheme = "light"\n'),
        ("ascii = true # yes", 'ascii = true # yes\ntheme = "light"\n'),
        ('[keys]\nquit="x"\n', 'theme = "light"\n\n[keys]\nquit="x"\n'),
        ('# c\n[keys]\ntheme="x"', '# c\ntheme = "light"\n\n[keys]\ntheme="x"'),
        ("ascii = true\r\nmouse = true", 'ascii = true\r\nmouse = true\r\ntheme = "light"\r\n'),
        ("theme = 'dark'\r\nmouse = true\r\n", 'theme = "light"\r\nmouse = true\r\n'),
        ('"theme"="dark"#c', '"theme"= "light"#c'),
        ("theme = 'light'", "theme = 'light'"),
    ],
)
def test_new_keys_stand_before_the_first_table(text, expected):
    """A key that is missing is added above the tables, with the line ends of the file."""
    assert config.updated_text(text, {"theme": "light"}) == expected


VALUES = {
    "interval": st.floats(0.1, 86400.0),
    "theme": st.sampled_from(config.THEMES),
    "columns": st.lists(st.sampled_from(IDS), unique=True).map(tuple),
    "sort": st.sampled_from(IDS),
    "filter": st.text(st.characters(codec="utf-8")),
    "view": st.sampled_from(config.VIEWS),
    "ascii": st.booleans(),
    "mouse": st.booleans(),
    "mask": st.lists(
        st.sampled_from(["a'b", r"\d+", 'q"\\"', "ü\x7f\n", "#[{="]).map(re.escape), unique=True
    ).map(lambda patterns: tuple(map(re.compile, patterns))),
    "preset": st.sampled_from(config.PRESETS),
}
TEXTS = [
    "",
    ANNOTATED,
    ANNOTATED.replace("\n", "\r\n"),
    config.default_text(),
    '# c\n\n[keys]\nfilter = "f"\ntheme = "t"  # c\n',
    'filter = """\n[x]\ntheme = 1\n"quoted""""\nkeys = { quit = "x" }',
    "mask = [\n  'a', # ]\n  '''b\n''',\n]\nkeys.quit = 'x' # ]\n",
]


@given(
    st.sampled_from(TEXTS),
    st.lists(
        st.sampled_from(list(VALUES)).flatmap(lambda key: st.tuples(st.just(key), VALUES[key])),
        max_size=8,
    ),
)
@example(TEXTS[5], [("filter", '"""\\'), ("filter", "'\x00\u2028"), ("theme", "dark")])
def test_any_changes_load_to_these_values(text, changes):
    """Whatever is changed, in whichever order, the file says so after it, and nothing else."""
    expected = loaded(text)
    comments = re.findall(r"^#.*", text, re.MULTILINE)
    for key, value in changes:
        text = config.updated_text(text, {key: value})
        expected = dataclasses.replace(expected, **{config.FIELDS[key]: value})

        assert loaded(text) == expected
    assert re.findall(r"^#.*", text, re.MULTILINE) == comments
    assert config.updated_text(text, dict(changes[-1:])) == text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"theme": "blue"}, "theme: "),
        ({"filter": "\udcff"}, "filter: "),
        ({"keys": {}}, "keys: cannot be saved"),
        ({"thme": "dark"}, "thme: cannot be saved"),
    ],
)
def test_nothing_wrong_is_written(changes, says):
    """A value that could not be read again is refused."""
    with pytest.raises(ConfigError, match=says):
        config.updated_text("", changes)


def test_saving_makes_folders_and_file_for_their_owner_only(tmp_path):
    """Without a file, one is made at the usual place: folders 0700, file 0600."""
    environ = {"HOME": str(tmp_path)}

    path = config.save({"theme": "light"}, environ)

    assert path == config.find(environ) == tmp_path / ".config" / "memtop" / "memtop.toml"
    assert config.load(path, {}) == Config(theme="light")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(p.stat().st_mode) for p in list(path.parents)[:2]] == [0o700] * 2
    assert list(path.parent.iterdir()) == [path]


def test_saving_changes_the_file_in_force(file):
    """An existing file keeps its mode and its comments; other names of it keep the old text."""
    path = file(ANNOTATED)
    path.chmod(0o640)
    os.link(path, path.with_name("other"))

    assert config.save({"sort": "rss"}, {}, str(path)) == path
    assert path.read_text() == config.updated_text(ANNOTATED, {"sort": "rss"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.with_name("other").read_text() == ANNOTATED


@pytest.mark.parametrize("exists", [True, False])
def test_saving_refuses_symbolic_links(tmp_path, exists):
    """A symbolic link in the place of the file is left alone, and so is what it points to."""
    target, folder = tmp_path / "target", tmp_path / "memtop"
    if exists:
        target.write_text("# theirs\n")
    folder.mkdir()
    (folder / "memtop.toml").symlink_to(target)

    with pytest.raises(MemtopError, match="symbolic link"):
        config.save({"theme": "dark"}, {"XDG_CONFIG_HOME": str(tmp_path)})

    assert (folder / "memtop.toml").is_symlink()
    assert target.read_text() == "# theirs\n" if exists else not target.exists()
    assert len(list(folder.iterdir())) == 1


def test_saving_refuses_what_is_no_file(tmp_path):
    """What is not a regular file, such as /dev/null in the variable, is never replaced."""
    path = tmp_path / "socket"
    os.mknod(path, stat.S_IFSOCK | 0o600)

    with pytest.raises(MemtopError, match="not a regular file"):
        config.save({"theme": "dark"}, {"MEMTOP_CONFIG": str(path)})

    assert path.is_socket()


def test_a_wrong_file_is_not_changed(file):
    """A file that became wrong since the start is reported and left as it is."""
    path = file("theme = dark\n")

    with pytest.raises(ConfigError, match="line 1"):
        config.save({"view": "flat"}, {}, str(path))

    assert path.read_text() == "theme = dark\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_save_leaves_the_old_file(file, monkeypatch):
    """When the new file cannot take its place, the old one is whole and nothing is left over."""
    path = file(ANNOTATED)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(MemtopError, match="No space left"):
        config.save({"view": "flat"}, {}, str(path))

    assert path.read_text() == ANNOTATED
    assert list(path.parent.iterdir()) == [path]


def test_saving_without_a_home_says_so(monkeypatch):
    """Where there is no home there is no place to save in."""
    monkeypatch.setattr(os.path, "expanduser", lambda text: text)

    with pytest.raises(MemtopError, match="no home"):
        config.save({"theme": "dark"}, {})


def test_aliases_are_never_kept():
    """Columns are compared and saved by their ids."""
    assert set(loaded('columns = ["thr", "mem", "cmd"]').columns) <= set(IDS) < set(BY_ID)
