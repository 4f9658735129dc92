#!/bin/sh
# Installs the Debian packages that the tests need (tests/peers/debian-packages.txt) and starts none of their
# services. Where that is not possible it says so and ends with 0: the tests that need them skip with the reason.
set -eu
cd "$(dirname -- "$0")/.."

say() {
    printf 'dev: %s\n' "$*" >&2
}

command -v dpkg-query >/dev/null 2>&1 || {
    say "this is no Debian; tests of peers whose programs are not on the PATH are left out."
    exit 0
}
missing=''
for package in $(sed 's/#.*//' tests/peers/debian-packages.txt); do
    case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || :) in
    *' ok installed') ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=''
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root='sudo -n'
else
    say "neither root nor sudo without a password: not installed are$missing; the tests that need them are left out."
    exit 0
fi

# While packages are installed no service may start; what stood in the policy's place comes back.
policy=/usr/sbin/policy-rc.d
kept=$policy.gambeson-kept
restore() {
    if [ -e "$kept" ] || [ -L "$kept" ]; then
        $as_root mv -f "$kept" "$policy"
    else
        $as_root rm -f "$policy"
    fi
}
# A kept one from a run that was killed is the real one; then what lies in its place is ours.
if { [ -e "$policy" ] || [ -L "$policy" ]; } && ! [ -e "$kept" ] && ! [ -L "$kept" ]; then
    $as_root mv -f "$policy" "$kept"
fi
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
$as_root chmod 0755 "$policy"

printf 'postfix postfix/main_mailer_type select No configuration\nslapd slapd/no_configuration boolean true\n' |
    $as_root debconf-set-selections 2>/dev/null || :
install() {
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold $missing >"$log" 2>&1
}
log=$(mktemp)
say "installing$missing"
install || { $as_root apt-get update -q >>"$log" 2>&1 && install; } || {
    tail -n 20 "$log" >&2
    say "these could not be installed:$missing (apt's words are above); the tests that need them are left out."
}
rm -f "$log"
