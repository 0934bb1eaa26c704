# Certificates, tokens and kubeconfigs, made once per life of the lab. Sourced, never run.
# shellcheck shell=bash

CREDENTIALS=$LAB_DIR/credentials

credentials_up() {
  [[ ! -e $KUBECONFIG_FILE ]] || return 0
  local cluster
  mkdir -p "$CREDENTIALS"
  chmod 700 "$CREDENTIALS"
  authority
  for cluster in "${CLUSTERS[@]}"; do
    server_certificate "$cluster"
    service_account_key "$cluster"
    tokens "$cluster"
    kubeconfig "$cluster:$cluster:admin" >"$CREDENTIALS/$cluster.kubeconfig"
    kubeconfig "$cluster:$cluster:prometheus" >"$CREDENTIALS/$cluster-prometheus.kubeconfig"
  done
  kubeconfig blue:blue:crossfade green:green:crossfade blue-admin:blue:admin green-admin:green:admin \
    >"$KUBECONFIG_FILE.partial"
  chmod 600 "$KUBECONFIG_FILE.partial"
  mv "$KUBECONFIG_FILE.partial" "$KUBECONFIG_FILE"
}

authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=crossfade-lab \
    -keyout "$CREDENTIALS/ca.key" -out "$CREDENTIALS/ca.crt" 2>/dev/null
}

# The API server shows it to its clients, and to the kubelet as a client of that.
server_certificate() {
  local name=$CREDENTIALS/$1
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=system:masters/CN=kube-apiserver" \
    -keyout "$name.key" -out "$name.csr" 2>/dev/null
  openssl x509 -req -days 30 -in "$name.csr" -CA "$CREDENTIALS/ca.crt" -CAkey "$CREDENTIALS/ca.key" \
    -CAcreateserial -out "$name.crt" -extfile /dev/stdin 2>/dev/null <<EXTENSIONS
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=IP:${ADDRESS[xf-$1]},IP:${FIRST_SERVICE[$1]},IP:127.0.0.1,DNS:kubernetes.default.svc
EXTENSIONS
}

service_account_key() {
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$CREDENTIALS/$1-accounts.key" 2>/dev/null
}

# `admin` may do everything and is also what the cluster's own programs use; `crossfade` and `prometheus`
# may do what the RBAC files grant them.
tokens() {
  local cluster=$1 user token
  : >"$CREDENTIALS/$cluster-tokens.csv"
  for user in admin crossfade prometheus; do
    token=$(openssl rand -hex 20)
    printf '%s' "$token" >"$CREDENTIALS/$cluster-$user.token"
    printf '%s,%s,%s,%s\n' "$token" "$user" "$user" "$(group_of "$user")" >>"$CREDENTIALS/$cluster-tokens.csv"
  done
}

group_of() { if [[ $1 == admin ]]; then echo system:masters; else echo "$1"; fi; }

# kubeconfig CONTEXT:CLUSTER:USER...: the first context is the current one.
kubeconfig() {
  local triple context cluster user
  printf 'apiVersion: v1\nkind: Config\ncurrent-context: %s\nclusters:\n' "${1%%:*}"
  for cluster in "${CLUSTERS[@]}"; do
    printf -- '- name: %s\n  cluster: {server: "%s", certificate-authority-data: %s}\n' \
      "$cluster" "$(api "$cluster")" "$(base64 -w0 "$CREDENTIALS/ca.crt")"
  done
  printf 'users:\n'
  for triple in "$@"; do
    IFS=: read -r context cluster user <<<"$triple"
    printf -- '- name: %s\n  user: {token: %s}\n' "$context" "$(<"$CREDENTIALS/$cluster-$user.token")"
  done
  printf 'contexts:\n'
  for triple in "$@"; do
    IFS=: read -r context cluster user <<<"$triple"
    printf -- '- name: %s\n  context: {cluster: %s, user: %s, namespace: shop}\n' "$context" "$cluster" "$context"
  done
}
