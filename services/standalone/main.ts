export async function runStandalone(_options: Readonly<Record<string, unknown>>): Promise<void> {
  throw new Error('not composed yet');
}
