import duration from 'google-protobuf/google/protobuf/duration_pb.js';
import timestamp from 'google-protobuf/google/protobuf/timestamp_pb.js';
import definition from 'rocketmq-client-nodejs/proto/apache/rocketmq/v2/definition_pb.js';
import stubs from 'rocketmq-client-nodejs/proto/apache/rocketmq/v2/service_grpc_pb.js';
import service from 'rocketmq-client-nodejs/proto/apache/rocketmq/v2/service_pb.js';

/** The messages of the protocol (apache/rocketmq/v2/*.proto) as the package rocketmq-client-nodejs has them: docs/decisions/0020. */
export const wire = { ...definition, ...service };

/** Its methods: paths, and how their messages are written and read. */
export const methods = stubs.MessagingServiceService;

export function resource(name: string) {
  return new definition.Resource().setName(name);
}

export function durationOf(ms: number) {
  return new duration.Duration().setSeconds(Math.floor(ms / 1000)).setNanos((ms % 1000) * 1_000_000);
}

export function timestampOf(ms: number) {
  return new timestamp.Timestamp().setSeconds(Math.floor(ms / 1000)).setNanos((ms % 1000) * 1_000_000);
}

/** Of `host:port` and `[v6]:port`. */
export function endpointsOf(addresses: readonly string[]) {
  const endpoints = new definition.Endpoints().setScheme(definition.AddressScheme.DOMAIN_NAME);
  for (const address of addresses) {
    const colon = address.lastIndexOf(':');
    endpoints
      .addAddresses()
      .setHost(address.slice(0, colon))
      .setPort(Number(address.slice(colon + 1)));
  }
  return endpoints;
}
