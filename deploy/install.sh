#!/bin/sh
# Installs the fleet system from its bundle, without a network: ./install.sh [FOLDER], by default /opt/fleet.
# Every file is checked against SHA256SUMS before anything is done; what is installed already stays until the new one is whole.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${1:-/opt/fleet}
python=${PYTHON:-python3}

stop() { echo "✗ $1" >&2; exit 1; }

cd "$here"
echo "· 校验文件 / checking the files"
sha256sum --check --strict --quiet SHA256SUMS || stop "安装包已损坏，未做任何改动：请重新拷贝 / the bundle is damaged, nothing was changed: copy it again"
listed=$(sed 's/^[0-9a-f]*  //' SHA256SUMS | sort)
found=$(find . -type f ! -name SHA256SUMS | sed 's|^\./||' | sort)
[ "$listed" = "$found" ] || stop "安装包中有多余的文件，未做任何改动 / the bundle holds files that are not on its list, nothing was changed"
wanted=$(cat PYTHON)
"$python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$wanted')" \
    || stop "需要 Python $wanted：用 PYTHON=/路径/python$wanted 指定 / Python $wanted is needed: name it with PYTHON="

if [ "${DEBS:-no}" = yes ]; then
    echo "· 安装系统软件包 / installing packages of the distribution"
    apt-get install --yes --no-download --no-install-recommends ./debs/*.deb
fi

# Each release has a folder of its own; `current` is switched when the new one is whole, and `previous` is the way back.
release=$(sha256sum SHA256SUMS | cut -c 1-12)
new="$target/releases/$release"
if [ "$(readlink "$target/current" 2>/dev/null || true)" = "releases/$release" ]; then
    echo "✓ 已是这个版本 / this release is installed already"
    exit 0
fi
rm -rf "$new"
mkdir -p "$new"
trap 'rm -rf "$new"' EXIT
echo "· 安装程序与 Python 依赖 / installing the program and the Python packages"
tar -xf app.tar -C "$new" --no-same-owner
"$python" -m venv "$new/.venv"
"$new/.venv/bin/python" -m pip install --quiet --no-index --find-links wheels --require-hashes --no-deps --disable-pip-version-check -r "$new/app/requirements/main.txt"
if [ "${WARM:-yes}" = yes ]; then
    echo "· 编译内核（约一分钟） / compiling the inner loops (about a minute)"
    (cd "$new/app" && "$new/.venv/bin/python" -m dispatch warm && "$new/.venv/bin/python" -m telematics warm)
fi
trap - EXIT

point() { ln -sfn "$2" "$target/.$1.new"; mv -T "$target/.$1.new" "$target/$1"; }
if [ -L "$target/current" ]; then point previous "$(readlink "$target/current")"; fi
point current "releases/$release"
point app current/app
point .venv current/.venv
echo "✓ 已安装到 $target / installed in $target"
echo "  下一步 / next: docs/operations.md, 安装 3 / Install 3"
