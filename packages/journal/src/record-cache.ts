// Decoded records for the neighbours of small reads: a guest that boots reads 4 KiB here and the next 4 KiB a moment later.
export class RecordCache {
  readonly #maximumBytes: number
  readonly #records = new Map<string, { readonly offset: number; readonly data: Buffer }>()
  #bytes = 0

  constructor(maximumBytes: number) {
    this.#maximumBytes = maximumBytes
  }

  get(segment: number, position: number): { readonly offset: number; readonly data: Buffer } | undefined {
    const key = `${segment}:${position}`
    const found = this.#records.get(key)
    if (found !== undefined) {
      this.#records.delete(key)
      this.#records.set(key, found)
    }
    return found
  }

  put(segment: number, position: number, record: { readonly offset: number; readonly data: Buffer }): void {
    const key = `${segment}:${position}`
    if (this.#records.has(key) || record.data.length > this.#maximumBytes) return
    this.#records.set(key, record)
    this.#bytes += record.data.length
    for (const [oldest, { data }] of this.#records) {
      if (this.#bytes <= this.#maximumBytes) return
      this.#records.delete(oldest)
      this.#bytes -= data.length
    }
  }
  clear(): void {
    this.#records.clear()
    this.#bytes = 0
  }
}
