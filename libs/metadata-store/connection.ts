/** How to reach an etcd cluster: plain data, so that a thread can be given it. */
export interface EtcdConnection {
  /** Client addresses of the members, `host:port`. */
  readonly endpoints: readonly string[];
  /** PEM. Encrypts the connections; without `ca` the system's authorities are trusted. */
  readonly tls?: { readonly ca?: Uint8Array; readonly cert?: Uint8Array; readonly key?: Uint8Array };
  readonly auth?: { readonly username: string; readonly password: string };
  /** How long a member may take to answer a call. Default 2 s. */
  readonly callTimeoutMs?: number;
}
