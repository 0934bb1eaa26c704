# The lab's own programs, and the two container images made of one of them. Sourced, never run.
# shellcheck shell=bash

# Linked statically, so that an image is one file and runs on the nodes of either cluster.
build_app() {
  local host target=$LAB_CACHE/app-target log=$LAB_CACHE/logs/app.log
  host=$(rustc -vV | sed -n 's/^host: //p')
  say "app and load: building if their source changed; log: $log"
  RUSTFLAGS="-C target-feature=+crt-static -C strip=symbols" CARGO_TARGET_DIR=$target logged "$log" \
    nice cargo build --locked --release --target "$host" --manifest-path "$LAB/app/Cargo.toml"
  mkdir -p "$APP_DIR"
  if ! cmp -s "$target/$host/release/app" "$APP_DIR/app" || [[ ! -e $APP_DIR/images.tar ]]; then
    make_images "$target/$host/release/app" "$APP_DIR/images.tar"
  fi
  replace "$target/$host/release/app" "$APP_DIR/app"
  replace "$target/$host/release/load" "$APP_DIR/load"
}

# A running program's file cannot be written to, but it can be replaced.
replace() { cp "$1" "$2.partial" && mv "$2.partial" "$2"; }

# make_images PROGRAM TAR: the archive `docker save` would write, of two images that share their one layer.
make_images() {
  local work
  work=$(mktemp -d)
  mkdir "$work/layer" "$work/images"
  install -m 755 "$1" "$work/layer/app"
  archive "$work/layer" "$work/images/layer.tar"
  image_config "$work/images/layer.tar" serve >"$work/images/app.json"
  image_config "$work/images/layer.tar" pause >"$work/images/pause.json"
  cat >"$work/images/manifest.json" <<'JSON'
[
  {"Config": "app.json", "RepoTags": ["crossfade.lab/app:1"], "Layers": ["layer.tar"]},
  {"Config": "pause.json", "RepoTags": ["crossfade.lab/pause:1"], "Layers": ["layer.tar"]}
]
JSON
  archive "$work/images" "$2.partial"
  mv "$2.partial" "$2"
  rm -rf "$work"
}

# The same files make the same archive, whoever makes it and whenever.
archive() { tar --create --file "$2" --directory "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner .; }

image_config() {
  cat <<JSON
{
  "architecture": "$(go_architecture)", "os": "linux",
  "config": {"Entrypoint": ["/app"], "Cmd": ["$2"], "User": "65534:65534"},
  "rootfs": {"type": "layers", "diff_ids": ["sha256:$(sha256sum "$1" | cut -d' ' -f1)"]},
  "history": [{"created_by": "tests/lab/install/app.sh"}]
}
JSON
}

go_architecture() { case $(uname -m) in aarch64) echo arm64 ;; *) echo amd64 ;; esac; }
