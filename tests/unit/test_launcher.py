"""The launcher's decisions: what was asked for, what is missing, when an environment counts as whole.

Its functions are called by sourcing the script; what it does to a bare machine takes a bare machine.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
NOBODY = 65534
OS_RELEASES = {
    "Debian 12": ('ID=debian\nVERSION_ID="12"\n', "debian"),
    "Debian 13": ('ID=debian\nVERSION_ID="13"\n', "debian"),
    "Debian sid": ("ID=debian\n", "debian"),
    "Debian 11": ('ID=debian\nVERSION_ID="11"\n', "other"),
    "Ubuntu 22.04": ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n', "debian"),
    "Ubuntu 24.04": ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n', "debian"),
    "Ubuntu 20.04": ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="20.04"\n', "other"),
    "Linux Mint": ('ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\n', "debian"),
    "Fedora": ("ID=fedora\nVERSION_ID=43\n", "other"),
    "no os-release": ("", "other"),
}


@pytest.fixture
def checkout():
    """A checkout (launcher and pins) in a path with a space, readable by every user."""
    with tempfile.TemporaryDirectory(prefix="dyncast launcher ") as folder:
        root = Path(folder)
        root.chmod(0o755)
        for name in ("dyncast", "requirements.lock", "requirements-test.lock"):
            shutil.copy(CHECKOUT / name, root)
        yield root


def call(checkout: Path, commands: str, path: str | None = None, **variables: str) -> subprocess.CompletedProcess:
    """Source the launcher, narrow PATH to `path`, run `commands`."""
    narrowed = f"PATH={path!r}; " if path is not None else ""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DYNCAST_")} | variables
    return subprocess.run(
        ["bash", "-c", f'source "$1"; {narrowed}{commands}', "bash", str(checkout / "dyncast")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def folder_of_commands(folder: Path, *names: str) -> str:
    """Make a PATH on which only `names` are found."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name) or "/bin/true")
    return str(folder)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ("", "help"),
        ("demo", "demo"),
        ("demo --duration 10 alto", "demo alto"),
        ("alto serve", "alto"),
        ("--verbose run scenario.yaml --seed 3", "run"),
        ("run --help", "help"),
        ("--version", "help"),
        ("--show-completion", "help"),
        ("--install-completion", "help"),
        ("test -- -h", "test"),
    ],
)
def test_the_command_is_found_among_the_arguments(checkout, arguments, command):
    assert call(checkout, f"command_name {arguments}").stdout == command


@pytest.mark.parametrize(("name", "browser"), [("Debian 12", {"chromium"}), ("Ubuntu 24.04", set())])
def test_a_bare_machine_lacks_every_package_and_the_tests_need_more(checkout, tmp_path, name, browser):
    nothing = folder_of_commands(tmp_path / "nothing")
    release = tmp_path / "os-release"
    release.write_text(OS_RELEASES[name][0])
    demo = call(checkout, "missing_packages demo", nothing).stdout.split()
    test = call(checkout, "missing_packages test", nothing, DYNCAST_OS_RELEASE=str(release)).stdout.split()
    assert {"python3", "openvswitch-switch", "mininet", "iproute2", "ethtool"} <= set(demo)
    # Whether it lacks the library that the browser's driver wants is up to this very machine.
    assert (
        set(test) - set(demo) - {"libatomic1"}
        == {"bubblewrap", "crun", "curl", "ffmpeg", "iperf3", "nginx", "shellcheck", "tcpdump", "tshark", "wrk"}
        | browser
    )


def test_the_demo_of_functions_brings_what_containers_take(checkout, tmp_path):
    nothing = folder_of_commands(tmp_path / "nothing")
    lacking = {
        name: set(call(checkout, f"missing_packages {name}", nothing).stdout.split())
        for name in ("demo", "'demo alto'")
    }
    assert lacking["'demo alto'"] - lacking["demo"] == {"bubblewrap", "crun"}
    assert call(checkout, "needs_root 'demo alto' && needs_open_vswitch 'demo alto'").returncode == 0


def test_a_command_that_is_there_needs_no_package(checkout, tmp_path):
    some = folder_of_commands(tmp_path / "some", "python3", "ovs-vsctl")
    missing = call(checkout, "missing_packages demo", some).stdout.split()
    assert "mininet" in missing
    assert not {"python3", "openvswitch-switch"} & set(missing)


@pytest.mark.parametrize(
    ("packages", "former", "asked", "left"),
    [
        ("curl nginx wrk", None, "nginx 101 openvswitch-switch 0", None),
        ("curl nginx", "# Of dyncast, left over", "nginx 101 openvswitch-switch 0", None),
        ("curl nginx", "# Of somebody else", None, "# Of somebody else"),
        ("curl wrk", None, None, None),
    ],
)
def test_nginx_is_not_started_as_a_daemon_while_it_is_installed(checkout, tmp_path, packages, former, asked, left):
    policy = tmp_path / "policy-rc.d"
    if former is not None:
        policy.write_text(f"{former}\n")
    apt = """
        apt() {
            for it in nginx openvswitch-switch; do "$POLICY_RC_D" $it start; printf '%s %s ' $it $?; done
            return 7
        }
        install_without_nginx_daemon """
    commands = folder_of_commands(tmp_path / "bin", "sh", "grep", "chmod", "rm")
    done = call(checkout, f"{apt}{packages}; echo code $?", commands, DYNCAST_POLICY_RC_D=str(policy))
    assert done.stdout.endswith("code 7\n"), done.stderr
    if asked is not None:
        assert done.stdout.startswith(asked)
    assert (policy.read_text().strip() if policy.exists() else None) == left


@pytest.mark.parametrize("way", ["TERM", "INT"])
def test_an_installation_that_is_interrupted_leaves_no_policy(checkout, tmp_path, way):
    policy = tmp_path / "policy-rc.d"
    interrupted = """
        missing_packages() { echo nginx; }
        distribution() { id=debian family=debian pretty=Debian; }
        can_make_environments() { true; }
        apt() { [[ $1 == update ]] || { [[ -e $POLICY_RC_D ]] && echo held; kill -%s $BASHPID; }; }
        (set_up run) 9>/dev/null; echo code $?; ls "$POLICY_RC_D"
    """
    done = call(checkout, interrupted % way, DYNCAST_POLICY_RC_D=str(policy), TMPDIR=str(tmp_path))
    assert done.stdout == "held\ncode 130\n", done.stderr
    assert not policy.exists()


def test_a_policy_that_a_killed_installation_left_is_no_ready_machine(checkout, tmp_path):
    policy = tmp_path / "policy-rc.d"
    policy.write_text("# Of dyncast, while it installs packages.\n")
    ready = "missing_packages() { :; }; can_start() { :; }; python_is_whole() { :; }; is_ready validate"
    assert call(checkout, ready, DYNCAST_POLICY_RC_D=str(policy)).returncode == 1
    assert call(checkout, f"remove_own_policy; {ready}", DYNCAST_POLICY_RC_D=str(policy)).returncode == 0
    policy.write_text("# Somebody else's.\n")
    assert call(checkout, f"remove_own_policy; {ready}", DYNCAST_POLICY_RC_D=str(policy)).returncode == 0
    assert policy.exists()


@pytest.mark.parametrize("name", OS_RELEASES)
def test_distributions_are_told_apart(checkout, tmp_path, name):
    text, family = OS_RELEASES[name]
    release = tmp_path / "os-release"
    release.write_text(text)
    with_apt = folder_of_commands(tmp_path / "bin", "apt-get")
    result = call(checkout, 'distribution; printf %s "$family"', with_apt, DYNCAST_OS_RELEASE=str(release))
    assert (result.stdout, result.stderr) == (family, "")


def test_another_distribution_is_told_what_to_install(checkout, tmp_path):
    release = tmp_path / "os-release"
    release.write_text('ID=fedora\nVERSION_ID=43\nPRETTY_NAME="Fedora Linux 43"\n')
    few = folder_of_commands(tmp_path / "bin", "sha256sum", "readlink", "tr")
    result = call(checkout, "set_up demo", few, DYNCAST_OS_RELEASE=str(release))
    assert result.returncode == 2
    assert "Fedora Linux 43" in result.stderr
    for word in ("Python 3.10", "Open vSwitch", "mnexec", "ethtool", "requirements.lock", "mininet"):
        assert word in result.stderr
    assert not (checkout / ".venv").exists()


def make_environment(checkout: Path, venv: Path) -> None:
    """Lay out what the launcher looks at in an environment, around this Python."""
    site = venv / "lib" / "python3" / "site-packages"
    site.mkdir(parents=True)
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    result = call(checkout, 'fingerprint "$lock_file" >"$stamp"; point_here', DYNCAST_VENV=str(venv))
    assert result.returncode == 0, result.stderr


def is_whole(checkout: Path, venv: Path) -> bool:
    return call(checkout, "environment_is_whole", DYNCAST_VENV=str(venv)).returncode == 0


def test_an_environment_is_whole_until_the_pins_change(checkout):
    venv = checkout / ".venv"
    make_environment(checkout, venv)
    assert is_whole(checkout, venv)
    with (checkout / "requirements.lock").open("a") as pins:
        pins.write("another==1.0\n")
    assert not is_whole(checkout, venv)


def test_only_tests_need_the_packages_of_tests(checkout):
    venv = checkout / ".venv"
    make_environment(checkout, venv)

    def python_is_whole(command: str) -> bool:
        return call(checkout, f"python_is_whole {command}", DYNCAST_VENV=str(venv)).returncode == 0

    assert (python_is_whole("run"), python_is_whole("test")) == (True, False)
    assert call(checkout, 'fingerprint "$test_lock_file" >"$test_stamp"', DYNCAST_VENV=str(venv)).returncode == 0
    assert python_is_whole("test")
    with (checkout / "requirements-test.lock").open("a") as pins:
        pins.write("another==1.0\n")
    assert (python_is_whole("run"), python_is_whole("test")) == (True, False)


def a_release(folder: Path, kind: str) -> str:
    """Make a release of a package `demo`, and return the line that locks it."""
    if kind == "wheel":
        path = folder / "demo-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("demo.py", "")
            wheel.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
            wheel.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr("demo-1.0.dist-info/RECORD", "")
    else:
        path = folder / "demo-1.0.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            (folder / "setup.py").write_text("from setuptools import setup; setup(name='demo', version='1.0')")
            archive.add(folder / "setup.py", "demo-1.0/setup.py")
    return f"demo==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.parametrize(
    ("kind", "change", "installs"),
    [("wheel", ("", ""), True), ("wheel", ("sha256:", "sha256:0000"), False), ("wheel", (" --hash", " #"), False),
     ("sources", ("", ""), False)],
    ids=["as locked", "another", "without hash", "to be built"],
)  # fmt: skip
def test_nothing_is_installed_but_what_is_locked_and_built(checkout, tmp_path, kind, change, installs):
    locked = a_release(tmp_path, kind).replace(*change)
    (checkout / "requirements.lock").write_text(locked[: locked.index("sha256:") + 71] + "\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    (site,) = (checkout / ".venv" / "lib").glob("*/site-packages")
    (site / "pip").symlink_to(Path(metadata.distribution("pip").locate_file("pip")))
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_TARGET": str(tmp_path / "installed")}
    done = call(checkout, 'log=/dev/null; pip_install "$lock_file"', **index)
    assert (done.returncode == 0, (tmp_path / "installed" / "demo.py").exists()) == (installs, installs)


def test_an_environment_left_half_made_is_not_whole(checkout):
    venv = checkout / ".venv"
    make_environment(checkout, venv)
    (venv / ".dyncast-run-stamp").write_text("unfinished")
    assert not is_whole(checkout, venv)
    (venv / ".dyncast-run-stamp").unlink()
    assert not is_whole(checkout, venv)


def test_an_environment_whose_python_is_gone_is_not_whole(checkout):
    venv = checkout / ".venv"
    make_environment(checkout, venv)
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to("/nowhere/python3.9")
    assert not is_whole(checkout, venv)


def test_a_shared_environment_is_pointed_at_the_checkout_in_use(checkout, tmp_path):
    venv = tmp_path / "shared venv"
    make_environment(checkout, venv)
    other = tmp_path / "other checkout"
    shutil.copytree(checkout, other)
    assert is_whole(other, venv)
    assert call(other, "points_here", DYNCAST_VENV=str(venv)).returncode != 0
    assert call(other, "point_here; points_here", DYNCAST_VENV=str(venv)).returncode == 0


_POOL = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from testbed import cli_worker

def main():
    with ProcessPoolExecutor(1, get_context("spawn")) as workers:
        print("one start", workers.submit(cli_worker.square, 3).result())
"""


def test_worker_processes_do_not_start_the_command_again(checkout):
    venv = checkout / ".venv"
    make_environment(checkout, venv)
    package = checkout / "testbed"
    package.mkdir()
    (package / "cli_worker.py").write_text("def square(number):\n    return number**2\n")
    (package / "cli.py").write_text(_POOL)
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}
    command = [str(venv / "bin" / "python"), str(venv / "bin" / "dyncast")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "one start 9\n", "")


_SHOW = """
import json, os, sys
from testbed.runtime import caller

def main():
    print(json.dumps({"programs": caller.environment(), "path": sys.path, "isolated": sys.flags.isolated}))
"""


def test_programs_of_others_get_the_environment_of_who_called_and_the_testbed_nothing_of_it(checkout, tmp_path):
    venv = checkout / ".venv"
    site = venv / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    make_environment(checkout, venv)
    site.mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    assert call(checkout, 'point_here; fingerprint "$lock_file" >"$stamp"').returncode == 0
    for name in ("__init__.py", "runtime/__init__.py", "runtime/caller.py"):
        (checkout / "testbed" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / "testbed" / name, checkout / "testbed" / name)
    (checkout / "testbed" / "cli.py").write_text(_SHOW)
    (tmp_path / "json.py").write_text("raise SystemExit('a module of the folder one stands in')")
    given = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "VIRTUAL_ENV": "/opt/own", "MPLBACKEND": "svg"}
    done = subprocess.run(
        [str(checkout / "dyncast"), "validate", "x.yaml"],
        cwd=tmp_path, env=given, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    of_the_shell = {"_", "PWD", "SHLVL", "OLDPWD", "LC_CTYPE"}
    assert {name: value for name, value in shown["programs"].items() if name not in of_the_shell} == given
    assert shown["isolated"] == 1
    assert str(tmp_path) not in shown["path"]


def test_an_environment_of_an_earlier_release_gets_the_present_start(checkout):
    venv = checkout / ".venv"
    make_environment(checkout, venv)
    (venv / "bin" / "dyncast").unlink()
    assert call(checkout, "points_here").returncode != 0
    assert call(checkout, "point_here; points_here").returncode == 0


def test_a_folder_that_is_not_ours_is_never_thrown_away(checkout, tmp_path):
    (tmp_path / "thesis.tex").write_text("three years")
    commands = f"log={tmp_path}/log; system_python() {{ printf %s '{sys.executable}'; }}; build_environment"
    result = call(checkout, commands, DYNCAST_VENV=str(tmp_path))
    assert result.returncode == 2
    assert "name a new folder" in result.stderr
    assert (tmp_path / "thesis.tex").read_text() == "three years"


def start(*command: str, cwd: Path = Path("/")) -> subprocess.CompletedProcess:
    """Start the launcher as an ordinary user."""
    user = NOBODY if os.geteuid() == 0 else None
    return subprocess.run(command, cwd=cwd, user=user, capture_output=True, text=True, timeout=30, check=False)


def test_without_root_a_run_is_refused_in_one_line(checkout):
    result = start(str(checkout / "dyncast"), "run", "scenario.yaml")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "sudo" in result.stderr


def test_without_root_and_not_installed_it_says_how_to_install(checkout):
    result = start(str(checkout / "dyncast"), "validate", "scenario.yaml")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "sudo" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--version"], 0, "dyncast 1.2.3\n"),
        (["--help"], 0, "It is not set up on this machine yet"),
        ([], 0, "doctor    what this machine can do"),
        (["run", "--help"], 0, "It is not set up on this machine yet"),
        (["--install-completion"], 1, "not installed yet; once, as root: sudo"),
    ],
)
@pytest.mark.parametrize("user", ["root", "nobody"])
def test_words_about_itself_set_nothing_up(checkout, arguments, code, said, user):
    if user == "root" and os.geteuid() != 0:
        pytest.skip("capability root is missing")
    (checkout / "testbed").mkdir()
    (checkout / "testbed" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    command = [str(checkout / "dyncast"), *arguments]
    if user == "nobody":
        result = start(*command)
    else:
        result = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == code
    assert said in result.stdout + result.stderr
    assert not (checkout / ".venv").exists()


def test_a_shell_that_completes_before_anything_is_installed_gets_nothing(checkout):
    command = [
        "env",
        "_DYNCAST_COMPLETE=complete_bash",
        "COMP_WORDS=dyncast r",
        "COMP_CWORD=1",
        str(checkout / "dyncast"),
    ]
    result = start(*command)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_an_installed_one_starts_from_anywhere_and_through_a_symlink(checkout):
    venv = checkout / ".venv"
    make_environment(checkout, venv)
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to("/bin/echo")  # tells what would be started; readable by every user
    assert call(checkout, 'fingerprint "$lock_file" >"$stamp"').returncode == 0
    elsewhere = checkout / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link").symlink_to(checkout / "dyncast")
    result = start(str(elsewhere / "link"), "report", "a run", cwd=elsewhere)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"-I {venv / 'bin' / 'dyncast'} report a run\n"


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="capability shellcheck is missing")
def test_it_passes_the_shell_linter():
    command = ["shellcheck", "dyncast", ".ci/run"]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
