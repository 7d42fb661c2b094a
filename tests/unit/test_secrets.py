"""Secrets in command lines."""

import re
import time

import pytest

from memtop.secrets import MASK, is_secret_name, mask_argv, mask_name

SECRET = "hunter2SECRET"


@pytest.mark.parametrize(
    "argv",
    [
        ["app", "--password", SECRET],
        ["app", f"--password={SECRET}"],
        ["app", "-password", SECRET],
        ["app", "--db-password", SECRET, "--port", "80"],
        ["mysql", "-u", "root", f"-p{SECRET}", "shop"],
        ["mysqldump", "-p123456"],
        ["env", f"AWS_SECRET_ACCESS_KEY={SECRET}", "python"],
        ["env", f"API_KEY={SECRET}"],
        ["curl", "-H", f"Authorization: Bearer {SECRET}"],
        ["curl", "-H", f"Authorization: token {SECRET}"],
        ["curl", "-u", f"bob:{SECRET}", "http://x"],
        ["celery", "-b", f"redis://:{SECRET}@cache:6379/0"],
        ["app", f"postgresql://shop:{SECRET}@db/shop?sslmode=require"],
        ["git", "clone", f"https://{SECRET}abcdefgh@example.org/x"],
        ["app", f"https://example.org/hook?token={SECRET}&x=1"],
        ["sh", "-c", f"PGPASSWORD={SECRET} psql -h db"],
        ["sh", "-c", f"mysql -uroot -p{SECRET} shop"],
        ["sh", "-c", f"app --token {SECRET} --port 80"],
        ["python", "-c", f"connect(user='a', password='{SECRET}')"],
        ["app", f'{{"password": "{SECRET}", "n": 1}}'],
        ["java", f"-Dspring.datasource.password={SECRET}"],
        ["app", f"ghp_{SECRET}{SECRET}"],
        ["app", f"--dbPassword={SECRET}"],
        [f"app: serve --secret {SECRET}"],
        ["app", f"--password=aa,{SECRET}"],
        ["sh", "-c", f"run --password={SECRET}"],
        [f"worker -x --api-key={SECRET} run"],
        ["app", f"PASSWORD=ab;{SECRET}"],
        ["app", f"--password=&a b {SECRET}"],
        ["app", "--password", f"--{SECRET}"],
        ["sh", "-c", f'mysql --password "a {SECRET}" shop'],
        ["sh", "-c", f"app --token -{SECRET}"],
        ["sh", "-c", f"app -p{SECRET}"],
        ["sh", "-c", f"curl -u bob:{SECRET} http://x"],
        ["app", f'{{"password": "a\\"{SECRET}"}}'],
        ["app", f'{{"api_key":["{SECRET}"]}}'],
        ["app", f"postgres://u:a/{SECRET}@h/db"],
        ["app", f"https://{SECRET}@example.org/x"],
        ["app", f"bob:{SECRET}@example.org"],
        ["curl", "-H", "Authorization:", "Bearer", SECRET],
        ["curl", "-H", f"Cookie: a=1; b={SECRET}"],
        ["sshpass", "-p", SECRET, "ssh", "host"],
        ["docker", "login", "-u", "me", "-p", SECRET],
        ["redis-cli", "-a", SECRET],
        ["curl", f"-ubob:{SECRET}"],
        ["curl", f"--user=bob:{SECRET}"],
        ["zip", "-P", SECRET, "a.zip"],
        ["app", f"DBPASS={SECRET}"],
        ["app", "--clientsecret", SECRET],
        ["app", f"https://hooks.slack.com/services/T0/B0/{SECRET}"],
        ["mongosh", "-u", "a", "-p", SECRET],
        ["curl", "-su", f"bob:{SECRET}"],
        ["curl", "-b", f"session={SECRET}"],
        ["smbclient", "-U", f"bob%{SECRET}"],
        ["smbclient", f"-Ubob%{SECRET}"],
        ["http", "-a", f"bob:{SECRET}"],
        ["git", "clone", f"https://{SECRET}:x-oauth-basic@example.org/x"],
        ["python", "-c", f"connect(password=b'{SECRET}')"],
        ["python", "-c", f"os.environ['PASSWORD'] = '{SECRET}'"],
        ["ruby", "-e", f"connect(password => '{SECRET}')"],
        ["app", f"password := {SECRET}"],
        ["app", f"--token\n{SECRET}"],
        ["app", f"--password\t{SECRET}"],
        ["app", "password", SECRET],
        ["redis-server", f"requirepass {SECRET}"],
        [f"worker (password {SECRET})"],
        ["helm", "--set", f"a=b,auth.password={SECRET}"],
        ["helm", f"--set-string=x.token={SECRET}"],
        ["docker", "run", f"--env=PASSWORD={SECRET}"],
        ["mount", "-o", f"username=a,password={SECRET}"],
        ["app", f'{{\\"password\\": \\"{SECRET}\\"}}'],
        ["app", f"password%3D{SECRET}"],
        ["app", f"<password>{SECRET}</password>"],
        ["app", f"hvs.{SECRET}"],
        ["app", f"sk_live_{SECRET}"],
        ["app", f"AIza{SECRET}"],
        ["app", f"//bob:{SECRET}@example.org"],
        ["app", f"bob:{SECRET}/x@example.org"],
        ["app", f"postgres://u@x:{SECRET}@h/db"],
        ["app", f"postgres://u:a {SECRET}@h/db"],
        ["app", "--psk", SECRET],
        ["app", "-----BEGIN RSA PRIVATE KEY-----", SECRET, "-----END RSA PRIVATE KEY-----"],
    ],
)
def test_secrets_do_not_leave(argv):
    """In every form in which people pass secrets, the value is replaced and the rest stays."""
    masked = " ".join(mask_argv(argv))

    assert SECRET not in masked
    assert "123456" not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "argv",
    [
        ["python", "-m", "tracker.main", "--port", "8080"],
        ["uvicorn", "app:app", "--max-tokens", "100", "--key-file", "/etc/ssl/a.pem"],
        ["redis-server", "*:6379"],
        ["ssh", "-p2222", "git@example.org"],
        ["python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5)"],
        ["app", "--tokenizer", "bert", "--token-url", "https://example.org/a"],
        ["gunicorn: worker [shop.wsgi:application]"],
        ["qemu", "-cpu", "host:x", "-b", "a=b"],
        ["app", "--set", "a=b,c=d", "-o", "x=y"],
    ],
)
def test_ordinary_command_lines_are_left_alone(argv):
    """What is no secret stays as it is."""
    assert mask_argv(argv) == tuple(argv)


@pytest.mark.parametrize(
    "text",
    [
        "=" + "Ab_" * 21_800,
        "data=" + "A" * 65_000,
        "-a" * 30_000,
        "--a " * 16_000,
        "eyJ-" * 16_000,
        "http://" * 9_000,
        "a:" * 32_000,
        "[" * 65_000,
        'password="' + "\\" * 65_000,
        " -p" * 20_000,
        "a:b," * 16_000,
        "token=***" * 8_000,
        "token=[" * 9_000,
        "//a:b" * 13_000,
        "a://b:c " * 8_000,
    ],
)
def test_no_text_makes_it_slow(text):
    """As much of a command line as is read is masked in milliseconds, whatever it holds."""
    begin = time.process_time()
    mask_argv(["app", text[:4096], text[:4096] + " x=y: z"])

    assert time.process_time() - begin < 0.5


def test_own_patterns_hide_whole_matches():
    """Patterns of a user hide what they match."""
    assert mask_argv(["app", "tenant-4711"], [re.compile(r"tenant-\d+")]) == ("app", MASK)


def test_names_of_processes_are_masked():
    """What a program calls itself may begin like its command line."""
    assert mask_name(b"pw=sesame") == f"pw={MASK}"
    assert mask_name(b"kworker/0:1H") == "kworker/0:1H"
    assert mask_name(b"caf\xe9") == "caf\udce9"


def test_names_are_judged_by_their_words():
    """A name is secret by a word in it, unless it names something about the secret."""
    assert is_secret_name("DB_PASSWORD")
    assert is_secret_name("apiKey")
    assert is_secret_name("x-auth-token")
    assert not is_secret_name("password-file")
    assert not is_secret_name("monkey")
    assert not is_secret_name("keyboard")
