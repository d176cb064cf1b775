#!/bin/sh
# Collects what the agent needs, and nothing else, into the folder that becomes the image's root.
# Runs in the build stage only; there is no shell in the image.
set -eu
root=$1

mkdir -p "$root"
for link in bin sbin lib lib64; do
  mkdir -p "$root/usr/$link"
  ln -s "usr/$link" "$root/$link"
done

# Copies a file to the same path below the root, and every shared library that it is linked with.
take() {
  for file in "$@"; do
    [ -e "$root$file" ] && continue
    mkdir -p "$root$(dirname "$file")"
    cp -pL "$file" "$root$file"
    case $(head -c 4 "$file" | tr -d '\0') in
      *ELF) ;;
      *) continue ;;
    esac
    # shellcheck disable=SC2046
    take $(ldd "$file" 2>/dev/null | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\//) { print $i; next } }')
  done
}

# Keeps a link a link: the xtables programs tell by their name what they are to do.
link() {
  for name in "$@"; do
    ln -sf "$target" "$root/usr/sbin/$name"
  done
}

take /usr/local/bin/node /usr/bin/env
# The smaller of the two monitors buffers its output unless it is told not to. stdbuf preloads its library by name.
take /usr/bin/stdbuf "$(find /usr/lib* -name libstdbuf.so | head -n 1)"
take /usr/sbin/xtables-nft-multi /usr/sbin/xtables-legacy-multi /usr/sbin/nft /usr/sbin/conntrack /usr/bin/ip
for family in iptables ip6tables; do
  for backend in nft legacy; do
    target=xtables-$backend-multi
    link "$family-$backend" "$family-$backend-save" "$family-$backend-restore"
  done
  target=xtables-nft-multi
  link "$family" "$family-save" "$family-restore"
done
target=xtables-nft-multi
link xtables-monitor iptables-translate ip6tables-translate

# Match and target extensions are loaded by name at run time, so ldd does not know them.
extensions=$(dirname "$(find /usr/lib -path '*/xtables/libxt_comment.so' | head -n 1)")
# shellcheck disable=SC2046
take $(find "$extensions" -name '*.so')

take /etc/ssl/certs/ca-certificates.crt
printf 'root:x:0:0:root:/:/nonexistent\nnobody:x:65534:65534:nobody:/:/nonexistent\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"

mkdir -p "$root/opt/kube2iam" "$root/run/kube2iam" "$root/tmp" "$root/proc" "$root/sys" "$root/dev"
chmod 1777 "$root/tmp"
cp -pR /opt/kube2iam/. "$root/opt/kube2iam/"
ln -s /opt/kube2iam/main.cjs "$root/usr/local/bin/kube2iam"
