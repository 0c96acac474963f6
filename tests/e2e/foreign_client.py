#!/usr/bin/python3
"""Goal: any gRPC client can use Kezek: what it needs, it gets from the server.

Method: Debian's python3-grpcio, none of this project's files: the descriptions of the services come
by reflection. It lists the services, submits a job that sleeps, watches its events until it runs,
cancels it, watches until it has ended, and looks at an error's detail.

    tests/e2e/foreign_client.py ENDPOINT PROJECT [--until-put-off]

KEZEK_TOKEN is in the environment, and KEZEK_CA_FILE where the server speaks TLS. With the option
it calls on until a call is put off, which a rate of a few calls a second makes sure of. Prints what
it does, line by line; exit status 0 if every step did what it should."""

import os
import sys
import uuid

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

TEXT = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
BYTES = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
SECONDS = 60


def reflection_messages():
    """The request and response of gRPC's reflection service, as far as they are used here."""
    file = descriptor_pb2.FileDescriptorProto(name="reflection.proto", syntax="proto3",
                                              package="grpc.reflection.v1alpha")

    def message(name, *fields):
        described = file.message_type.add(name=name)
        for field, number, kind, repeated, of in fields:
            described.field.add(name=field, number=number, type=kind, label=3 if repeated else 1,
                                type_name=of and f".grpc.reflection.v1alpha.{of}")

    message("ServerReflectionRequest", ("file_containing_symbol", 4, TEXT, False, None),
            ("list_services", 7, TEXT, False, None))
    message("FileDescriptorResponse", ("file_descriptor_proto", 1, BYTES, True, None))
    message("ServiceResponse", ("name", 1, TEXT, False, None))
    message("ListServiceResponse", ("service", 1, MESSAGE, True, "ServiceResponse"))
    message("ServerReflectionResponse",
            ("file_descriptor_response", 4, MESSAGE, False, "FileDescriptorResponse"),
            ("list_services_response", 6, MESSAGE, False, "ListServiceResponse"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return [factory.GetPrototype(pool.FindMessageTypeByName(f"grpc.reflection.v1alpha.{name}"))
            for name in ("ServerReflectionRequest", "ServerReflectionResponse")]


class Server:
    """A server known by its address alone."""

    def __init__(self, endpoint, token, authority=None):
        if authority:
            with open(authority, "rb") as file:
                trusted = grpc.ssl_channel_credentials(root_certificates=file.read())
            self.channel = grpc.secure_channel(endpoint, trusted)
        else:
            self.channel = grpc.insecure_channel(endpoint)
        self.metadata = (("authorization", f"Bearer {token}"),)
        self.pool = descriptor_pool.DescriptorPool()
        self.factory = message_factory.MessageFactory(self.pool)
        self.request, self.response = reflection_messages()

    def _ask(self, **question):
        call = self.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            request_serializer=self.request.SerializeToString,
            response_deserializer=self.response.FromString)
        return next(call(iter([self.request(**question)]), timeout=SECONDS))

    def services(self):
        answer = self._ask(list_services="*")
        return sorted(service.name for service in answer.list_services_response.service)

    def learn(self, service):
        """Takes in the files that describe a service, each after those that it imports."""
        answer = self._ask(file_containing_symbol=service)
        files = [descriptor_pb2.FileDescriptorProto.FromString(data)
                 for data in answer.file_descriptor_response.file_descriptor_proto]
        waiting, known = {file.name: file for file in files}, set()
        while waiting:
            ready = [file for file in waiting.values() if known.issuperset(file.dependency)]
            assert ready, f"reflection leaves out what {sorted(waiting)} import"
            for file in ready:
                self.pool.Add(file)
                known.add(file.name)
                del waiting[file.name]

    def call(self, service, rpc, **fields):
        """The answer of a unary rpc, or an iterator over a stream's."""
        method = self.pool.FindServiceByName(service).FindMethodByName(rpc)
        described = descriptor_pb2.MethodDescriptorProto()
        method.CopyToProto(described)
        kind = self.factory.GetPrototype(method.input_type)
        make = self.channel.unary_stream if described.server_streaming else self.channel.unary_unary
        stub = make(f"/{service}/{rpc}", request_serializer=kind.SerializeToString,
                    response_deserializer=self.factory.GetPrototype(method.output_type).FromString)
        request = json_format.ParseDict(fields, kind())
        return stub(request, metadata=self.metadata, timeout=SECONDS)


def events(server, job, after, last):
    """The states of a job's events after a number, until one of them is `last`; and its number."""
    states = []
    for answer in server.call("kezek.v1.JobService", "Watch", jobs=[job], after_seq=after):
        for event in answer.events:
            if event.to and event.to not in states:
                states.append(event.to)
            if event.to == last:
                return states, event.seq
    raise AssertionError(f"the stream ended after {states}, before {last}")


def call_until_put_off(server):
    server.learn("kezek.v1.AccessService")
    for number in range(5000):
        try:
            server.call("kezek.v1.AccessService", "WhoAmI")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
            assert b"RATE_LIMITED" in dict(error.trailing_metadata())["grpc-status-details-bin"]
            print("put off after", number, "calls:", error.details())
            return
    raise AssertionError("no call was put off")


def main(endpoint, project, option=None):
    server = Server(endpoint, os.environ["KEZEK_TOKEN"], os.environ.get("KEZEK_CA_FILE"))
    services = server.services()
    print("services:", *services)
    assert "kezek.v1.JobService" in services and "grpc.health.v1.Health" in services
    server.learn("kezek.v1.JobService")

    spec = {"name": "foreign", "project": project, "time_limit_ms": 300_000, "working_dir": "/tmp",
            "script": "#!/bin/sh\nsleep 200\n", "shape": {"gpus": 1}}
    taken = server.call("kezek.v1.JobService", "Submit", idempotency_key=str(uuid.uuid4()),
                        spec=spec)
    job = str(taken.job.id)
    print("submitted:", job)
    states, seq = events(server, job, 0, "running")
    print("events:", *states)
    server.call("kezek.v1.JobService", "Cancel", jobs=[job])
    states, _ = events(server, job, seq, "cancelled")
    print("events:", *states)

    spec["shape"] = {"nodes": 999}
    try:
        server.call("kezek.v1.JobService", "Submit", idempotency_key=str(uuid.uuid4()), spec=spec)
        raise AssertionError("999 nodes were taken")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
        assert "grpc-status-details-bin" in dict(error.trailing_metadata()), error
        print("refused:", error.details())
    if option == "--until-put-off":
        call_until_put_off(server)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
