// A printer for tests: the bundle is the report as JSON.
import { createHash } from 'node:crypto'
import type { EvidencePrinter } from '@understudy/engine/ports/evidence-printer'

export const memoryPrinter = (): EvidencePrinter => ({
  async print(report, pictures) {
    const bundle = Buffer.from(JSON.stringify({ report, pictures: [...pictures.keys()] }))
    const sha256 = createHash('sha256').update(bundle).digest('hex')
    return { bundle, files: [{ name: 'run.json', bytes: bundle.length, sha256 }] }
  },
  open: (bundle, name) => (name === 'run.json' ? bundle : null),
})
