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
  return { pool, close: () => pool.end() }
}
