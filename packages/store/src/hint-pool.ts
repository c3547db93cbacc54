import pg from 'pg'

export type HintPool = { readonly pool: pg.Pool; close(): Promise<void> }

/** A small pool of its own for what server processes tell each other (LISTEN and NOTIFY keep a connection to themselves). */
export function openHintPool(databaseUrl: string): HintPool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: 3,
    connectionTimeoutMillis: 10_000,
    application_name: 'understudy-hints',
  })
  // A hint that gets lost costs nothing: the views refetch by themselves.
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    // The one that listens is checked out for good: the pool does not look after it, and an error that nobody hears would
    // end this process together with PostgreSQL.
    client.on('error', () => {})
    client.on('end', () => giveBack(client))
  })
  return { pool, close: () => pool.end() }
}

/** A dead connection that its holder never gives back would keep its place in the pool for ever. */
function giveBack(client: pg.PoolClient): void {
  try {
    client.release(true)
  } catch {
    // The pool has it already.
  }
}
