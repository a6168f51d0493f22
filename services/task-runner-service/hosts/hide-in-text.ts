/**
 * Puts `hide` between the text that plugins print by themselves (`console`, or straight to a stream) and the stream. Bytes pass as they
 * are: they are the records of a sink that writes to the standard output.
 */
export function hideInText(stream: NodeJS.WritableStream, hide: (text: string) => string): void {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  stream.write = (chunk: Uint8Array | string, ...rest: unknown[]): boolean =>
    write(typeof chunk === 'string' ? hide(chunk) : chunk, ...rest);
}
