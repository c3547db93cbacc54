// A program of ours and all that it imports, as one file for a Node that has no packages beside it.
import { rolldown } from 'rolldown'

export type ProgramToBundle = {
  readonly entry: string
  readonly file: string
  readonly format: 'esm' | 'cjs'
}

/** The same sources give the same bytes. */
export async function bundleProgram({ entry, file, format }: ProgramToBundle): Promise<void> {
  const bundle = await rolldown({ input: entry, platform: 'node', logLevel: 'silent' })
  try {
    await bundle.write({ file, format, minify: true })
  } finally {
    await bundle.close()
  }
}
