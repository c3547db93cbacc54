// The connections over which several server processes tell each other's browsers what changed.
import pg from 'pg'

/** For @socket.io/postgres-adapter: one connection listens, the others notify. The caller ends it. */
export function openLivePool(databaseUrl: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: 4,
    connectionTimeoutMillis: 10_000,
    application_name: 'understudy-live',
  })
  // The adapter connects again by itself, and hints may be lost.
  pool.on('error', () => {})
  return pool
}
