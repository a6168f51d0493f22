/** One thing that must hold of a connector. */
export interface Check {
  /** A sentence. */
  readonly name: string;
  /** Rejects when it does not hold. */
  readonly run: () => Promise<void>;
}

/** Rejects unless `promise` settles in time. */
export async function within<T>(ms: number, what: string, promise: Promise<T> | T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
