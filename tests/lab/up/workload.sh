# What is in the clusters before a migration: the source's workload, and the rights of the accounts.
# Sourced, never run.
# shellcheck shell=bash

# kube CLUSTER ARGUMENTS...: as the admin. One kubectl, the newer, speaks to both.
kube() {
  local cluster=$1
  shift
  "${BIN[green]}/kubectl" --kubeconfig "$CREDENTIALS/$cluster.kubeconfig" --cache-dir "$LAB_DIR/kubectl-cache" "$@"
}

# Applied once per life of the lab, so that a second `up` does not take back what somebody changed.
workload_up() {
  [[ ! -e $LAB_DIR/workload-applied ]] || return 0
  apply_workload
  touch "$LAB_DIR/workload-applied"
}

apply_workload() {
  logged "$LAB_DIR/logs/apply-green.log" kube green apply -f "$LAB/rbac.yaml" -f "$LAB/../../deploy/target-role.yaml"
  logged "$LAB_DIR/logs/apply-blue.log" kube blue apply --validate=false -f "$LAB/rbac.yaml" -f "$LAB/../../deploy/source-role.yaml" -f "$LAB/checkout-blue.yaml"
}

# source_ready: every replica asked for is there, of the current template, and ready, and no other pod is.
source_ready() {
  kube blue --namespace shop get deployment checkout -o json | jq -e '
    .status.observedGeneration == .metadata.generation and .spec.replicas == .status.replicas
    and .spec.replicas == .status.updatedReplicas and .spec.replicas == .status.readyReplicas' >/dev/null
}

source_replicas() { kube blue --namespace shop get deployment checkout -o 'jsonpath={.spec.replicas}'; }

# pod_addresses CLUSTER: of the pods that run and are to go on running.
pod_addresses() {
  kube "$1" --namespace shop get pods --selector app=checkout --output json | jq -r '
    .items[] | select(.metadata.deletionTimestamp == null and .status.phase == "Running") | .status.podIP'
}

# Pods that are being ended take their time, which is theirs in a migration and nobody's between tests.
end_leaving_pods() {
  kube "$1" --namespace shop get pods --output json |
    jq -r '.items[] | select(.metadata.deletionTimestamp != null) | .metadata.name' |
    xargs -r "${BIN[green]}/kubectl" --kubeconfig "$CREDENTIALS/$1.kubeconfig" --namespace shop delete pod \
      --force --grace-period=0 --ignore-not-found
}

# fault CLUSTER MODE [RATE] [DELAY]: turns the switch in every running pod of the cluster.
fault() {
  local cluster=$1 mode=$2 rate=${3:-1} delay=${4:-1s} address addresses
  addresses=$(pod_addresses "$cluster")
  [[ -n $addresses ]] || die "no pod of checkout runs on $cluster"
  for address in $addresses; do
    in_namespace xf-client curl --noproxy '*' -sS --fail-with-body --max-time 5 -X POST \
      "http://$address:8081/fault?mode=$mode&rate=$rate&delay=$delay" || die "the pod $address did not take the fault"
  done
}

# Everything a migration may have put on green, and the pods at once instead of in their own time.
clear_target() {
  local delete=(kube green --namespace shop delete --ignore-not-found --wait=false)
  logged "$LAB_DIR/logs/clear-target.log" "${delete[@]}" hpa,pdb,ingress,service,deployment --all
  logged "$LAB_DIR/logs/clear-target.log" "${delete[@]}" replicaset,pod --all --force --grace-period=0
  logged "$LAB_DIR/logs/clear-target.log" "${delete[@]}" configmap,secret,serviceaccount --selector part-of=checkout
}

target_clear() {
  [[ -z $(kube green --namespace shop get deployment,replicaset,pod,service,hpa,pdb,ingress -o name) ]]
}
