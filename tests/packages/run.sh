#!/usr/bin/env bash
# Makes the Debian packages, checks them with lintian, installs them on a freshly bootstrapped Debian 12, and builds and runs a
# project and an example there. Needs root, debootstrap, lintian and the network; takes about ten minutes. CI does not run it.
#
#   tests/packages/run.sh
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'umount "$work/machine/proc" 2>/dev/null || true; rm -rf "$work"' EXIT

cd "$root"
cmake --workflow --preset package
packages=$root/build-package
for name in libebb0.1 libebb-dev ebb-doc ebb-examples; do
  [ "$(find "$packages" -maxdepth 1 -name "${name}_*.deb" | wc -l)" -eq 1 ] || {
    echo "packages: there is no package $name" >&2
    exit 1
  }
done
# Whoever publishes packages sets EBB_MAINTAINER. The flags of ebb.pc are those that formulas of users need.
lintian --fail-on error --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog,pkg-config-bad-directive \
  "$packages"/*.deb

debootstrap --variant=minbase bookworm "$work/machine" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$work/log" 2>&1 || {
  tail -n 20 "$work/log" >&2
  exit 1
}
cp /etc/resolv.conf "$work/machine/etc/" 2>/dev/null || true
mkdir "$work/machine/packages"
cp "$packages"/*.deb "$work/machine/packages/"
cp -r tests/consumer/consumer_project "$work/machine/consumer"
mount -t proc proc "$work/machine/proc"
# shellcheck disable=SC2016
chroot "$work/machine" /bin/bash -euo pipefail -c '
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends /packages/*.deb pkg-config ninja-build >/dev/null
  cmake -S /consumer -B /consumer/build -G Ninja >/dev/null
  cmake --build /consumer/build >/dev/null
  /consumer/build/consumer
  c++ -O2 /consumer/main.cpp -o /by_pkg_config $(pkg-config --cflags --libs ebb)
  /by_pkg_config
  cmake -S /usr/share/ebb/examples -B /examples -G Ninja >/dev/null
  cmake --build /examples --target digits xor >/dev/null
  /examples/digits --epochs 2 --out /out
'
echo 'packages: passed'
