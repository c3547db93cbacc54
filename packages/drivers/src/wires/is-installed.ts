import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** Whether a program of the distribution is there to be started. */
export async function isInstalled(program: string): Promise<boolean> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  for (const folder of folders) {
    const found = await access(join(folder, program)).then(
      () => true,
      () => false,
    )
    if (found) return true
  }
  return false
}
