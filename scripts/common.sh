# Shared by the scripts here: to be sourced, with the project's folder as the current one.
set -eu

VENV=${BAKERY_VENV:-.venv}

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# packages PACKAGE=COMMAND …: installs the Debian packages whose command is missing, or says which they are.
packages() {
    missing=""
    for pair in "$@"; do
        command -v "${pair#*=}" >/dev/null 2>&1 || [ -e "/usr/sbin/${pair#*=}" ] || missing="$missing ${pair%%=*}"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 || die "missing, and no apt-get to install them with:$missing"
    if [ "$(id -u)" = 0 ]; then as_root=""
    elif sudo -n true 2>/dev/null; then as_root="sudo"
    else die "missing packages. Run, and then start again: sudo apt-get install -y$missing"
    fi
    say "installing$missing"
    DEBIAN_FRONTEND=noninteractive $as_root apt-get update -qq
    # shellcheck disable=SC2086  # a list of words
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# venv EXTRA: a virtual environment with bakery in it ("" or "[dev]").
venv() {
    python=$(command -v python3) || die "Python 3.11 or later is needed: sudo apt-get install -y python3 python3-venv"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "$python is older than Python 3.11"
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then packages python3-venv=no-such-command; fi
    [ -x "$VENV/bin/python" ] || { say "making $VENV"; "$python" -m venv "$VENV"; }
    stamp="$VENV/.installed$1"
    if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
        say "installing bakery$1"
        "$VENV/bin/pip" install --quiet --disable-pip-version-check -e ".$1" 2>&1 | grep -v '^WARNING: Location' >&2 || true
        "$VENV/bin/bakery" --version >/dev/null || die "bakery could not be installed"
        touch "$stamp"
    fi
    # Byte code is made here, also of what has changed since, and not at the first run, which some machines never keep.
    "$VENV/bin/python" -m compileall -q bakery engine
    PATH="$PWD/$VENV/bin:$PATH"
    export PATH
}
