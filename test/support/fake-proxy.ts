import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { durationOf, endpointsOf, methods, resource, timestampOf, wire } from '@rocketmq-connect/message-log/proxy/wire';

type Of<K extends keyof typeof wire> = (typeof wire)[K] extends new () => infer T ? T : never;
type Unary<Q, A> = (call: { readonly request: Q; readonly metadata: Metadata }, done: (error: Error | null, answer?: A) => void) => void;

const { OK } = wire.Code;

/** A gRPC proxy of RocketMQ on a free port that does what a test says, and remembers what it was asked. */
export class FakeProxy {
  /** Kinds of messages that the topic takes. */
  types: number[] = [wire.MessageType.NORMAL];
  /** Answers to sends and acknowledgements in turn; afterwards all is well. `null`: no answer at all. */
  readonly sendCodes: (number | null)[] = [];
  readonly ackCodes: number[] = [];
  readonly renewCodes: number[] = [];
  heartbeatCode: number = OK;
  /** What polls get, in turn; afterwards nothing, after a while. */
  readonly deliveries: Of<'Message'>[][] = [];
  /** Before it answers a renewal. */
  onRenewal: () => Promise<void> = async () => undefined;
  readonly sent: Of<'Message'>[][] = [];
  readonly acknowledged: string[][] = [];
  readonly renewed: { readonly handle: string; readonly ms: number }[] = [];
  readonly metadata: Metadata[] = [];
  /** What it says it is reached by; by default as the client reached it. */
  advertised: string | null = null;
  settings = 0;
  terminated = 0;
  address = '';
  #server: Server | null = null;
  #renewals = 0;

  async start(): Promise<this> {
    const server = new Server();
    server.addService(methods as never, this.#handlers() as UntypedServiceImplementation);
    const host = this.address === '' ? '127.0.0.1:0' : this.address;
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync(host, ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))),
    );
    this.address = `127.0.0.1:${port}`;
    this.#server = server;
    return this;
  }

  /** At once, whatever is under way. */
  stop(): void {
    this.#server?.forceShutdown();
    this.#server = null;
  }

  #handlers(): Record<string, unknown> {
    const queryRoute: Unary<Of<'QueryRouteRequest'>, Of<'QueryRouteResponse'>> = ({ request }, done) => {
      const answer = new wire.QueryRouteResponse();
      if (request.getTopic()?.getName() !== 't') return done(null, answer.setStatus(status(wire.Code.TOPIC_NOT_FOUND)));
      for (const id of [1, 0]) {
        answer
          .addMessageQueues()
          .setId(id)
          .setTopic(request.getTopic())
          .setPermission(wire.Permission.READ_WRITE)
          .setAcceptMessageTypesList(this.types)
          .setBroker(
            new wire.Broker().setName('b').setEndpoints(this.advertised === null ? request.getEndpoints() : endpointsOf([this.advertised])),
          );
      }
      done(null, answer.setStatus(status(OK)));
    };
    const sendMessage: Unary<Of<'SendMessageRequest'>, Of<'SendMessageResponse'>> = ({ request, metadata }, done) => {
      this.sent.push(request.getMessagesList());
      this.metadata.push(metadata);
      const code = this.sendCodes.shift();
      if (code === null) return;
      const answer = new wire.SendMessageResponse().setStatus(status(code ?? OK));
      answer.addEntries().setStatus(status(code ?? OK));
      done(null, answer);
    };
    const ackMessage: Unary<Of<'AckMessageRequest'>, Of<'AckMessageResponse'>> = ({ request }, done) => {
      const answer = new wire.AckMessageResponse().setStatus(status(OK));
      const handles = request.getEntriesList().map((entry) => entry.getReceiptHandle());
      this.acknowledged.push(handles);
      const code = this.ackCodes.shift() ?? OK;
      // The other way round: an answer promises no order.
      for (const handle of handles.reverse()) answer.addEntries().setReceiptHandle(handle).setStatus(status(code));
      done(null, answer);
    };
    const changeInvisibleDuration: Unary<Of<'ChangeInvisibleDurationRequest'>, Of<'ChangeInvisibleDurationResponse'>> = async (
      { request },
      done,
    ) => {
      this.renewed.push({ handle: request.getReceiptHandle(), ms: (request.getInvisibleDuration()?.getSeconds() ?? 0) * 1000 });
      await this.onRenewal();
      const code = this.renewCodes.shift() ?? OK;
      done(null, new wire.ChangeInvisibleDurationResponse().setStatus(status(code)).setReceiptHandle(`renewed-${++this.#renewals}`));
    };
    const heartbeat: Unary<unknown, Of<'HeartbeatResponse'>> = (_, done) =>
      done(null, new wire.HeartbeatResponse().setStatus(status(this.heartbeatCode)));
    const notifyClientTermination: Unary<unknown, Of<'NotifyClientTerminationResponse'>> = (_, done) => {
      this.terminated++;
      done(null, new wire.NotifyClientTerminationResponse().setStatus(status(OK)));
    };
    const telemetry = (stream: ServerDuplexStream<Of<'TelemetryCommand'>, Of<'TelemetryCommand'>>): void => {
      stream.on('data', (command: Of<'TelemetryCommand'>) => {
        this.settings++;
        stream.write(command.setStatus(status(OK)));
      });
      stream.on('error', () => undefined);
      stream.on('end', () => stream.end());
    };
    const receiveMessage = (stream: ServerWritableStream<unknown, Of<'ReceiveMessageResponse'>>): void => {
      const messages = this.deliveries.shift() ?? [];
      if (messages.length === 0) {
        const timer = setTimeout(() => stream.end(), 20);
        stream.on('cancelled', () => clearTimeout(timer));
        return;
      }
      stream.write(new wire.ReceiveMessageResponse().setStatus(status(OK)));
      for (const message of messages) stream.write(new wire.ReceiveMessageResponse().setMessage(message));
      stream.end();
    };
    return {
      queryRoute,
      sendMessage,
      ackMessage,
      changeInvisibleDuration,
      heartbeat,
      notifyClientTermination,
      telemetry,
      receiveMessage,
    };
  }
}

/** A message as a proxy delivers it. */
export function delivery(offset: number, more: { readonly queue?: number; readonly attempt?: number } = {}): Of<'Message'> {
  const system = new wire.SystemProperties()
    .setMessageId(`id-${offset}`)
    .setReceiptHandle(`handle-${offset}`)
    .setQueueId(more.queue ?? 0)
    .setQueueOffset(offset)
    .setDeliveryAttempt(more.attempt ?? 1)
    .setInvisibleDuration(durationOf(1000))
    .setStoreTimestamp(timestampOf(1_700_000_000_123));
  return new wire.Message()
    .setTopic(resource('t'))
    .setBody(Buffer.from(`body ${offset}`))
    .setSystemProperties(system);
}

function status(code: number): Of<'Status'> {
  return new wire.Status().setCode(code).setMessage(`code ${code}`);
}
