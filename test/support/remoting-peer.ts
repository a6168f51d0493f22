import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { FrameDecoder } from '@rocketmq-connect/message-log/remoting/frame';

export interface PeerRequest {
  readonly code: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly oneway: boolean;
  readonly socket: Socket;
}

interface PeerResponse {
  readonly code: number;
  readonly fields?: Readonly<Record<string, string | number>>;
  readonly remark?: string;
  readonly body?: Buffer;
}

/** What a peer does with a request: answers, keeps silent (`undefined`), cuts the connection, or stops within the answer's frame. */
export type PeerReaction = PeerResponse | undefined | 'cut' | 'stall';

/** A name server and broker in one, which does what a test tells it. */
export class RemotingPeer {
  /** Every request, in order of arrival. */
  readonly requests: PeerRequest[] = [];
  /** MQVersion; this is 5.4.0. */
  version = 493;
  react: (request: PeerRequest) => PeerReaction | Promise<PeerReaction>;
  #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  constructor(react: (request: PeerRequest) => PeerReaction | Promise<PeerReaction>) {
    this.react = react;
    this.#server = this.#create();
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** At the port of before, if there was one. */
  async start(): Promise<this> {
    this.#server = this.#create();
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  /** All connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  get connections(): number {
    return this.#sockets.size;
  }

  #create(): Server {
    return createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
      const decoder = new FrameDecoder();
      socket.on('data', (chunk) => decoder.push(chunk, (frame) => void this.#handle(socket, frame)));
    });
  }

  async #handle(socket: Socket, frame: Parameters<Parameters<FrameDecoder['push']>[1]>[0]): Promise<void> {
    const request = { code: frame.code, fields: frame.fields, body: frame.body, oneway: frame.oneway, socket };
    this.requests.push(request);
    const reaction = await this.react(request);
    if (reaction === undefined || frame.oneway) return;
    if (reaction === 'cut') socket.destroy();
    else if (reaction === 'stall')
      socket.write(responseBytes(frame.opaque, this.version, { code: 0, body: Buffer.alloc(1000) }).subarray(0, 200));
    else socket.write(responseBytes(frame.opaque, this.version, reaction));
  }
}

function responseBytes(opaque: number, version: number, { code, fields = {}, remark, body = Buffer.alloc(0) }: PeerResponse): Buffer {
  const extFields = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]));
  const header = Buffer.from(
    JSON.stringify({ code, extFields, flag: 1, language: 'JAVA', opaque, ...(remark === undefined ? {} : { remark }), version }),
  );
  const prefix = Buffer.alloc(8);
  prefix.writeInt32BE(4 + header.length + body.length, 0);
  prefix.writeInt32BE(header.length, 4);
  return Buffer.concat([prefix, header, body]);
}

/** The route of a topic on one broker, as the body of a response. */
export function routeBody(brokers: Readonly<Record<string, Readonly<Record<string, string>>>>, queues: number, permission = 6): Buffer {
  return Buffer.from(
    JSON.stringify({
      brokerDatas: Object.entries(brokers).map(([brokerName, brokerAddrs]) => ({ brokerName, cluster: 'c', brokerAddrs })),
      queueDatas: Object.keys(brokers).map((brokerName) => ({
        brokerName,
        perm: permission,
        readQueueNums: queues,
        writeQueueNums: queues,
        topicSysFlag: 0,
      })),
    }),
  );
}
