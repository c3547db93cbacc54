// Asking for the end of a work that takes longer than an answer may: see long-work.ts.

/** Bounded by the agent, which gives up what takes too long. */
export async function untilDone<Result>(
  ask: () => Promise<{ readonly kind: 'working' } | { readonly kind: 'done'; readonly result: Result }>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  for (;;) {
    const answer = await ask()
    if (answer.kind === 'done') return answer.result
    signal?.throwIfAborted()
  }
}
