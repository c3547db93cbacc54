/** Rows in pages: pass `next` back to go on. Order is stable while rows come and go. */
export type Page<Row> = { readonly rows: readonly Row[]; readonly next: string | null }
export type PageRequest = { readonly limit: number; readonly cursor: string | null }
