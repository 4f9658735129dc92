# Makes and finds the environment that Gambeson runs in. Sourced by ./gambeson and ./dev; POSIX sh.
#
# An environment is a venv with exactly the files a hash lock names. Rules:
# - It is built under a temporary name and renamed when complete, with a copy of its lock inside
#   (`lock`): an interrupted build leaves nothing that could be taken for an environment.
# - Two first starts at once: one builds, the other waits. The wait only saves work; correctness
#   rests on the rename, so a wrongly judged lock does no harm.
# - Nothing is ever written to standard output.
#
# The caller sets `here` (the checkout, absolute).

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    code=$1
    shift
    say "gambeson: $*"
    exit "$code"
}

# Prints X.Y where the command is a Python >= 3.11. (A pyenv shim of another version answers 127.)
python_version() {
    "$1" -I -c 'import sys
v = sys.version_info
sys.exit(1) if v < (3, 11) else print("%d.%d" % v[:2])' 2>/dev/null
}

python_can_venv() {
    "$1" -I -c 'import ensurepip, venv; ensurepip.version()' >/dev/null 2>&1
}

# Sets `python` and `version`: $GAMBESON_PYTHON, else the first of the usual names that serves.
choose_python() {
    python='' version='' without_venv=''
    if [ -n "${GAMBESON_PYTHON:-}" ]; then
        version=$(python_version "$GAMBESON_PYTHON") ||
            fail 2 "GAMBESON_PYTHON is $GAMBESON_PYTHON, which is no Python 3.11 or newer that starts; name one that is."
        python=$GAMBESON_PYTHON
        python_can_venv "$python" || no_venv "$python"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        version=$(python_version "$candidate") || continue
        if python_can_venv "$candidate"; then
            python=$candidate
            return
        fi
        without_venv=${without_venv:-$candidate}
    done
    [ -z "$without_venv" ] || no_venv "$without_venv"
    fail 2 "Gambeson needs Python 3.11 or newer and found none; install one (Debian and Ubuntu: python3) or name it in GAMBESON_PYTHON."
}

no_venv() {
    fail 2 "$1 cannot make an environment because its venv module is not complete; install the package python3-venv and start again."
}

# complete ENV LOCK: whether ENV was made from exactly this LOCK and its interpreter is still there.
complete() {
    [ -x "$1/bin/python" ] && cmp -s "$2" "$1/lock" 2>/dev/null
}

# point_to_source ENV: the interpreter finds the project through a .pth file, also after the
# checkout was moved. Written only where it is not right already.
point_to_source() {
    set -- "$1"/lib/python3.*/site-packages
    [ -d "$1" ] || fail 3 "the environment $1 is damaged; delete it and start again."
    pointed=''
    [ ! -r "$1/gambeson.pth" ] || IFS= read -r pointed <"$1/gambeson.pth" || :
    [ "$pointed" != "$here/src" ] || return 0
    printf '%s\n' "$here/src" >"$1/gambeson.pth.$$" && mv -f "$1/gambeson.pth.$$" "$1/gambeson.pth"
}

# A process's mark: its id and, where the system tells, when it started, since ids are used again.
mark() {
    printf '%s.%s' "$1" "$(cut -d' ' -f22 "/proc/$1/stat" 2>/dev/null || :)"
}

# A process that has ended but that nobody has waited for (state Z) is not alive.
alive() {
    { kill -0 "${1%%.*}" 2>/dev/null || ps -p "${1%%.*}" >/dev/null 2>&1; } &&
        [ "$(mark "${1%%.*}")" = "$1" ] &&
        [ "$(cut -d' ' -f3 "/proc/${1%%.*}/stat" 2>/dev/null || :)" != Z ]
}

# make_environment ENV LOCK: returns when ENV is complete. Uses `python`.
make_environment() {
    env=$1 lock=$2 waited=0
    parent=$(dirname -- "$env")
    base=$(basename -- "$env")
    mutex=$parent/.env-mutex-$base building=$parent/.env-making-$base.$$
    [ -d "$parent" ] || mkdir -p -- "$parent" || fail 2 "$parent cannot be made; set GAMBESON_ENV to a place you can write to."
    [ -w "$parent" ] || ! cmp -s "$lock" "$env/lock" ||
        fail 2 "$env was made with a Python that you may not run; make it anew with one that everybody may, such as /usr/bin/python3."
    [ -w "$parent" ] || fail 2 "$env must be made once and you may not write to $parent; start ./gambeson once as its owner, or set GAMBESON_ENV."
    # The link's target is the builder's mark: made and readable in one step. The traps come first, and remove only
    # what is ours: a signal may come before the next line runs.
    ours=$(mark $$)
    trap 'rm -rf -- "$building"; release' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    until ln -s "$ours" "$mutex" 2>/dev/null; do
        builder=$(readlink "$mutex" 2>/dev/null) || continue
        if ! alive "$builder"; then
            rm -rf -- "$mutex" "$parent/.env-making-$base.${builder%%.*}"
            continue
        fi
        [ "$waited" -gt 0 ] || say "gambeson: waiting for process ${builder%%.*}, which is making $env."
        waited=$((waited + 1))
        [ "$waited" -lt 900 ] || fail 3 "process ${builder%%.*} has been making $env for 15 minutes; end it, delete $mutex and start again."
        sleep 1
        ! complete "$env" "$lock" || break
    done
    if ! complete "$env" "$lock"; then
        build "$env" "$lock"
    fi
    release
    trap - EXIT HUP INT TERM
}

# release: gives the right to build back, where it is ours.
release() {
    [ "$(readlink "$mutex" 2>/dev/null)" != "$ours" ] || rm -f -- "$mutex"
}

build() {
    say "gambeson: making the environment $env (once, about a minute; it needs a package registry)."
    unset PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV PYTHONHOME PYTHONPATH
    "$python" -I -m venv "$building" >&2 ||
        fail 2 "$python could not make an environment in $building (its message is above); where it names one, install the package python3-venv."
    "$building/bin/python" -I -m pip install -qq --disable-pip-version-check --no-input \
        --no-deps --require-hashes --only-binary :all: -r "$lock" >&2 ||
        fail 3 "the libraries in $lock could not be installed (pip's message is above); check the network or pip's configuration and start again."
    cp -- "$lock" "$building/lock"
    "$building/bin/python" -I -m compileall -q "$here/src" >/dev/null 2>&1 || :
    # Scripts name the interpreter by path: make that the final one. Then put the directory in
    # place; where someone else was faster, theirs is as good.
    "$building/bin/python" -I -c 'import os, pathlib, shutil, sys
building, final, lock = sys.argv[1:]
for file in pathlib.Path(building, "bin").iterdir():
    if file.is_file() and not file.is_symlink() and building.encode() in (text := file.read_bytes()):
        file.write_bytes(text.replace(building.encode(), final.encode()))
old = f"{building}-old"
for _ in range(3):
    try:
        os.rename(building, final)
        break
    except OSError:
        os.rename(final, old)
        shutil.rmtree(old, ignore_errors=True)' "$building" "$env" "$lock" ||
        fail 3 "the environment could not be put in place as $env; delete that and start again."
}
