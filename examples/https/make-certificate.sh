#!/bin/sh
# Writes a new self-signed certificate for www.example.com, valid for 30 days, as
# certificate.yaml (the Secret, with its private key) and ca.crt (for curl), beside
# this script. Git ignores both.
set -eu
cd "$(dirname "$0")"
umask 077

work=$(mktemp -d .certificate.XXXXXX) # here, so that mv is atomic
trap 'rm -rf "$work"' EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
	-subj /CN=www.example.com -addext subjectAltName=DNS:www.example.com \
	-keyout "$work/tls.key" -out "$work/tls.crt" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }

cat >"$work/certificate.yaml" <<END
apiVersion: v1
kind: Secret
metadata:
  name: www-example-com
type: kubernetes.io/tls
stringData:
  tls.crt: |
$(sed 's/^/    /' "$work/tls.crt")
  tls.key: |
$(sed 's/^/    /' "$work/tls.key")
END
mv "$work/tls.crt" ca.crt
mv "$work/certificate.yaml" certificate.yaml
echo "wrote $PWD/certificate.yaml and ca.crt"
