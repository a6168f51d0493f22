import type { ChannelOptions } from '@grpc/grpc-js';

/**
 * PEM files of mutual TLS: every process of the mesh shows `cert` and takes only peers whose certificate `ca` signed. A server's certificate
 * must name the host that it is reached by, or else `serverName`.
 */
export interface MeshTls {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly serverName?: string;
}

/** Larger messages are refused on both sides; records never cross the mesh. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

/** Messages of a stream that are decoded ahead of their reader; beyond, HTTP/2's flow control holds the sender. */
export const READ_AHEAD = 16;

export const IDENTITY_HEADER = 'rmqc-identity';

const common = {
  // A half-open connection shows no error: without pings a stream on it would wait for ever.
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.enable_channelz': 0,
};

export const serverOptions = common;

const channelOptions = {
  ...common,
  // Retries are decided in failover.ts, which knows what may be repeated.
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  // Peers of the mesh are never behind the http_proxy of the environment.
  'grpc.enable_http_proxy': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
};

export function channelOptionsOf(tls: MeshTls | undefined): ChannelOptions {
  return tls?.serverName === undefined ? channelOptions : { ...channelOptions, 'grpc.ssl_target_name_override': tls.serverName };
}
