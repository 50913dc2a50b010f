#!/usr/bin/env bash
# Compile oip.proto into oip_pb2.py and oip_pb2.pyi (or into the folder given). Needs grpcio-tools, which the test extra has.
set -euo pipefail
out="$(cd "${1:-$(dirname "$0")}" && pwd)"
cd "$(dirname "$0")"
"${PYTHON:-python}" -m grpc_tools.protoc --proto_path=. --python_out="$out" --pyi_out="$out" oip.proto
# A pool of its own: clients that bring the same protocol (Triton's, KServe's) register the same names in the process-wide pool.
sed -i.was 's/_descriptor_pool\.Default()/_descriptor_pool.DescriptorPool()/' "$out/oip_pb2.py"
rm "$out/oip_pb2.py.was"
