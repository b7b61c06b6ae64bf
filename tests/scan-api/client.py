#!/usr/bin/env python3
"""Asks the Scan API about one request, knowing no .proto file: the service describes itself by reflection.

  client.py HOST:PORT URL < BODY

Needs grpcio and grpcio-reflection. Prints the outcome as one JSON object; exits 1 if the request would be denied.
"""
import json
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import proto_reflection_descriptor_database as reflection

SERVICE = "portcullis.scan.v1.ScanService"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    channel = grpc.insecure_channel(sys.argv[1])
    pool = descriptor_pool.DescriptorPool(reflection.ProtoReflectionDescriptorDatabase(channel))
    scan = pool.FindServiceByName(SERVICE).FindMethodByName("Scan")
    request = message_factory.GetMessageClass(scan.input_type)()
    request.head.url = sys.argv[2]
    request.body = sys.stdin.buffer.read()
    call = channel.unary_unary(
        f"/{SERVICE}/{scan.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(scan.output_type).FromString,
    )
    outcome = json_format.MessageToDict(call(request, timeout=30).outcome, preserving_proto_field_name=True)
    print(json.dumps(outcome))
    sys.exit(outcome["verdict"] == "VERDICT_DENY")


main()
