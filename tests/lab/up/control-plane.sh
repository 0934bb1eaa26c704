# The control plane of a cluster: etcd, API server, controller manager, scheduler. Sourced, never run.
# shellcheck shell=bash

start_etcd() {
  start_in_node "$1" etcd etcd --name "$1" --data-dir "$LAB_DIR/$1/etcd" \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster "$1=http://127.0.0.1:2380" --log-level warn
}

start_apiserver() {
  local cluster=$1 name=$CREDENTIALS/$1
  start_in_node "$cluster" apiserver "${BIN[$cluster]}/kube-apiserver" \
    --etcd-servers http://127.0.0.1:2379 --bind-address 0.0.0.0 --secure-port 6443 \
    --advertise-address "${ADDRESS[xf-$cluster]}" --service-cluster-ip-range "${SERVICE_RANGE[$cluster]}" \
    --tls-cert-file "$name.crt" --tls-private-key-file "$name.key" --cert-dir "$LAB_DIR/$cluster/certificates" \
    --token-auth-file "$name-tokens.csv" --authorization-mode RBAC \
    --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file "$name-accounts.key" --service-account-signing-key-file "$name-accounts.key" \
    --kubelet-client-certificate "$name.crt" --kubelet-client-key "$name.key" \
    --kubelet-preferred-address-types InternalIP --profiling=false
}

start_controller_manager() {
  start_in_node "$1" controller-manager "${BIN[$1]}/kube-controller-manager" \
    --kubeconfig "$CREDENTIALS/$1.kubeconfig" --bind-address 127.0.0.1 --leader-elect=false \
    --root-ca-file "$CREDENTIALS/ca.crt" --service-account-private-key-file "$CREDENTIALS/$1-accounts.key" \
    --cert-dir "$LAB_DIR/$1/certificates" --profiling=false "${NO_INSECURE_PORT[$1]}"
}

start_scheduler() {
  start_in_node "$1" scheduler "${BIN[$1]}/kube-scheduler" \
    --kubeconfig "$CREDENTIALS/$1.kubeconfig" --bind-address 127.0.0.1 --leader-elect=false \
    --cert-dir "$LAB_DIR/$1/certificates" --profiling=false "${NO_INSECURE_PORT[$1]}"
}

# 1.20 opens an unprotected port unless told not to; later releases know neither the port nor the flag, so
# for them the default verbosity is said again instead.
declare -A NO_INSECURE_PORT=([blue]=--port=0 [green]=--v=0)

api_ready() { curl --noproxy "*" -sf --max-time 2 --cacert "$CREDENTIALS/ca.crt" "$(api "$1")/readyz"; }

etcd_ready() { in_node "$1" curl --noproxy "*" -sf --max-time 2 http://127.0.0.1:2379/health; }

control_plane_up() {
  start_etcd "$1"
  start_apiserver "$1"
  until_true 120 "the API server of $1; read $LAB_DIR/logs/$1-apiserver.log" api_ready "$1"
  start_controller_manager "$1"
  start_scheduler "$1"
}
