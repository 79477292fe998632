#!/bin/sh
# Sets up what the Makefile asks for:  setup.sh run | dev | debian | compiler | install PREFIX
#   run     .venv with what the product needs, and the product itself (editable)
#   dev     the same plus the tools of `make test`
#   debian  what the tests talk to: phones of other makers, and PostgreSQL (Debian packages)
#   compiler  what compiles the pure rooms: a C compiler and the headers of the Python in .venv
#   install   PREFIX is a virtual environment with the product, compiled, and nothing of the source tree
# Says in one line what is missing where it cannot help itself.
set -eu
cd "$(dirname "$0")/.."

TEST_PACKAGES="sip-tester baresip-core postgresql tshark"

fail() {
    echo "parkade: $1" >&2
    exit 1
}

can_apt() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

apt_install() {
    echo "Installing Debian packages: $*"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"; } \
        >.apt.log 2>&1 </dev/null || { tail -n 20 .apt.log >&2; fail "apt-get could not install: $*"; }
    rm -f .apt.log
}

# The tests start PostgreSQL themselves, so Debian's package need not.
install_postgresql() {
    apt_install postgresql-common
    conf=/etc/postgresql-common/createcluster.conf
    cp -p "$conf" "$conf.before-parkade"
    echo "create_main_cluster = false" >>"$conf"
    status=0
    (apt_install postgresql) || status=$?
    mv "$conf.before-parkade" "$conf"
    [ "$status" = 0 ] || exit "$status"
}

has_postgresql() {
    for initdb in /usr/lib/postgresql/*/bin/initdb "$(command -v initdb || true)"; do
        [ -x "$initdb" ] && return
    done
    return 1
}

find_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

make_venv() {
    if [ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1; then
        return
    fi
    if ! python=$(find_python); then
        can_apt || fail "Python 3.11 or newer is needed (found: $(python3 --version 2>&1 || echo none)); set PYTHON=/path/to/python3.11"
        apt_install python3 python3-venv
        python=$(find_python) || fail "Python 3.11 or newer is needed; this system has only $(python3 --version 2>&1)"
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        can_apt || fail "$python cannot make virtual environments; install the package python3-venv"
        apt_install python3-venv
    fi
    rm -rf .venv
    "$python" -m venv .venv || fail "$python could not make .venv"
}

install_lock() {
    echo "Installing Python packages: $1"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$1"
}

case "${1:-}" in
run)
    make_venv
    install_lock requirements/run.txt
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
    touch .venv/ready-run
    ;;
dev)
    install_lock requirements/dev.txt
    touch .venv/ready-dev
    ;;
debian)
    missing=""
    for package in $TEST_PACKAGES; do
        case "$package" in
        sip-tester) command -v sipp >/dev/null || missing="$missing $package" ;;
        baresip-core) command -v baresip >/dev/null || missing="$missing $package" ;;
        tshark) command -v tshark >/dev/null || missing="$missing $package" ;;
        postgresql) has_postgresql || missing="$missing $package" ;;
        esac
    done
    [ -z "$missing" ] && exit 0
    can_apt || fail "the tests need the Debian packages$missing: apt-get install$missing"
    case "$missing" in
    *postgresql*) install_postgresql ;;
    esac
    # shellcheck disable=SC2086
    apt_install $missing
    ;;
compiler)
    missing=""
    command -v cc >/dev/null || missing="gcc libc6-dev"
    headers=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [ -e "$headers/Python.h" ] || missing="$missing python3-dev"
    [ -z "$missing" ] && exit 0
    can_apt || fail "a C compiler and the headers of Python are needed: apt-get install $missing"
    # shellcheck disable=SC2086
    apt_install $missing
    [ -e "$headers/Python.h" ] || fail "the headers of the Python in .venv are not in $headers"
    ;;
install)
    prefix=${2:-}
    [ -n "$prefix" ] || fail "make install PREFIX=/opt/parkade: where to?"
    [ -x "$prefix/bin/python" ] || .venv/bin/python -m venv "$prefix" || fail "no virtual environment could be made in $prefix"
    echo "Installing into $prefix"
    "$prefix/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
    "$prefix/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .
    .venv/bin/python tools/compile_rooms.py "$("$prefix/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    "$prefix/bin/python" -m compileall -q "$prefix/lib"
    "$prefix/bin/parkade" --version
    ;;
*)
    fail "usage: tools/setup.sh run | dev | debian | compiler | install PREFIX"
    ;;
esac
