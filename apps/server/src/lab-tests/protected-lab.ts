// A lab whose database machine is protected to site B, its replicas on a file system that can be filled.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Site } from '@understudy/contract/site'
import { type LabProduct, openLabProduct } from './lab-product.ts'

const run = promisify(execFile)
const replicasMiB = 4096

export type ProtectedLab = {
  readonly product: LabProduct
  /** The protection of lab-db, with a cycle every second. */
  readonly id: string
  readonly machineId: string
  readonly siteA: Site
  readonly siteB: Site
  readonly replicaFolder: string
  /** Gives the replicas of site B a file system of that size. Throws where none could be mounted: the tests need root. */
  resizeReplicaDisk(size: { readonly mebibytes: number }): Promise<void>
  readonly replicasMiB: number
  close(): Promise<void>
}

export async function protectInLab(): Promise<ProtectedLab> {
  const product = await openLabProduct({ lab: true })
  let noMount: unknown = null
  let mounted = false
  const replicaFolder = join(product.lab, 'site-b', 'replicas')
  const close = async (): Promise<void> => {
    if (mounted) await run('umount', ['--lazy', replicaFolder])
    await product.close()
  }
  try {
    await product.signUp()
    const { siteA, siteB, machine } = await product.waitForLab()
    try {
      const options = ['-t', 'tmpfs', '-o', `size=${replicasMiB}m,mode=700`]
      await run('mount', [...options, 'understudy-test', replicaFolder])
      mounted = true
    } catch (error) {
      noMount = error
    }
    const id = await product.protect(machine.id, siteB.id, 1)
    return {
      product,
      id,
      machineId: machine.id,
      siteA,
      siteB,
      replicaFolder,
      replicasMiB,
      async resizeReplicaDisk({ mebibytes }) {
        if (!mounted)
          throw new Error('No file system could be mounted here. Run the tests as root.', { cause: noMount })
        await run('mount', ['-o', `remount,size=${mebibytes}m`, replicaFolder])
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
