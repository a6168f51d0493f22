/** How the client of etcd does; its counters only grow. Whoever opens a store may give one, and look at it at any time. */
export class EtcdFigures {
  /** By address: calls, log-ins and streams that the member failed, whereupon another was asked. */
  readonly memberFailures = new Map<string, number>();
  /** The address of the member that is asked first. */
  preferredMember = '';
  /** Watches that hear etcd; the others look for a member to go on at. */
  connectedWatches = 0;
  /** Watches that went on at a new connection. */
  watchReconnects = 0;

  failed(address: string): void {
    this.memberFailures.set(address, (this.memberFailures.get(address) ?? 0) + 1);
  }
}
