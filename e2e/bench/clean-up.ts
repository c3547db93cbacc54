// Benches start machines and servers that outlive them. What has to be undone is undone at the end, and when they are interrupted.
type CleanUp = () => Promise<unknown>

const open: CleanUp[] = []

/** Runs `work`, then `cleanUp`, whatever happens: an error, Ctrl-C, or the end of somebody's patience. */
export async function withCleanUp<Result>(cleanUp: CleanUp, work: () => Promise<Result>): Promise<Result> {
  open.push(cleanUp)
  try {
    return await work()
  } finally {
    open.splice(open.indexOf(cleanUp), 1)
    await cleanUp()
  }
}

/** The last one first, as they would have come. One that fails keeps none of the others from running. */
async function endEarly(): Promise<void> {
  for (let cleanUp = open.pop(); cleanUp; cleanUp = open.pop())
    await cleanUp().catch((error: unknown) => process.stderr.write(`${String(error)}\n`))
  process.exit(130)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void endEarly())
