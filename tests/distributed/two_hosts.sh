#!/usr/bin/env bash
# Trains on two hosts, which are network namespaces of this machine: first to the end, with delay and loss if the kernel has
# netem, then until the link between them is cut. Skipped (77) without root, ip, or namespaces.
#
#   tests/distributed/two_hosts.sh openmpi|mpich MPIRUN WORKER
set -euo pipefail

mpi=$1 mpirun=$2 worker=$3
a=ebb$$a b=ebb$$b
skip() {
  echo "skipped: $1"
  exit 77
}
[ "$(id -u)" -eq 0 ] || skip 'network namespaces need root'
for tool in ip unshare; do
  command -v "$tool" >/dev/null || skip "$tool is not installed"
done
ip netns add "$a" 2>/dev/null || skip 'network namespaces are not permitted here'

work=$(mktemp -d)
ranks() { pgrep -f "$worker endless $work" || true; }
cleanup() {
  local pid
  for pid in $(ranks); do kill -9 "$pid" 2>/dev/null || true; done
  ip netns del "$a" || true
  ip netns del "$b" || true
  rm -rf "$work"
}
trap cleanup EXIT
ip netns add "$b"
ip link add veth0 netns "$a" type veth peer name veth0 netns "$b"
ip -n "$a" address add 10.77.5.1/24 dev veth0
ip -n "$b" address add 10.77.5.2/24 dev veth0
for host in "$a" "$b"; do
  ip -n "$host" link set lo up
  ip -n "$host" link set veth0 up
done
for host in "$a" "$b"; do
  until ip -n "$host" link show veth0 | grep -q 'state UP'; do sleep 0.05; done
done

# Runs a command on a host, in place of ssh: agent [FLAG...] ADDRESS COMMAND...
cat >"$work/agent" <<END
#!/bin/sh
while [ "\${1#-}" != "\$1" ]; do shift; done
if [ "\$1" = 10.77.5.1 ]; then host=$a; else host=$b; fi
shift
exec ip netns exec \$host unshare --uts sh -c "hostname \$host; \$*"
END
chmod +x "$work/agent"

# Without these options the ranks would find shared memory, and mpirun would wait five minutes for a lost host.
if [ "$mpi" = openmpi ]; then
  launch="$mpirun --allow-run-as-root --mca plm_rsh_agent $work/agent --host 10.77.5.1:1,10.77.5.2:1 --bind-to none"
  launch+=" --mca oob_tcp_keepalive_time 2 --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 2"
  launch+=" -x OMP_NUM_THREADS -x EBB_DISTRIBUTED_TIMEOUT"
  here="$mpirun --allow-run-as-root --oversubscribe --bind-to none"
else
  launch="$mpirun -launcher ssh -launcher-exec $work/agent -localhost 10.77.5.1 -hosts 10.77.5.1,10.77.5.2"
  launch+=" -genv UCX_TLS tcp,self -genv UCX_NET_DEVICES veth0"
  here=$mpirun
fi
export OMP_NUM_THREADS=1 EBB_DISTRIBUTED_TIMEOUT=20
on_two_hosts() {
  timeout -k 2 100 ip netns exec "$a" unshare --uts sh -c "hostname $a; exec $launch -n 2 $worker $*" </dev/null
}

if tc -n "$a" qdisc add dev veth0 root netem delay 2ms loss 1% 2>/dev/null; then
  echo 'with delay and loss'
else
  echo 'this kernel has no netem: without delay and loss'
fi
on_two_hosts train "$work/two" 3 -1 0
tc -n "$a" qdisc del dev veth0 root 2>/dev/null || true
# shellcheck disable=SC2086  # several words
timeout 100 $here -n 2 "$worker" train "$work/one" 3 -1 0 </dev/null
for file in model training; do
  cmp "$work/one/$file.safetensors" "$work/two/$file.safetensors"
done
echo 'two hosts train the bits of one'

export EBB_DISTRIBUTED_TIMEOUT=2
status=0
on_two_hosts endless "$work" >"$work/log" 2>&1 &
run=$!
for _ in $(seq 100); do
  if [ "$(ranks | wc -l)" -ge 2 ] && [ -e "$work/started" ]; then break; fi
  sleep 0.1
done
ip -n "$a" link set veth0 down
start=$SECONDS
for _ in $(seq 200); do
  if ! pgrep -f "^$worker endless $work" >/dev/null; then break; fi
  sleep 0.1
done
echo "all ranks ended $((SECONDS - start)) s after the link was cut"
if pgrep -f "^$worker endless $work" >/dev/null; then
  echo 'FAILED: a rank goes on without the other one' >&2
  exit 1
fi
wait "$run" || status=$?
cat "$work/log"
grep -q 'rank 1 did not come after' "$work/log"
[ "$status" -ne 0 ]
