// The same lab, its database machine protected to the emulated Azure.
import { afterAll, beforeAll, describe, vi } from 'vitest'
import { type AzureLab, azureRunTests } from './lab-tests/azure-run.ts'
import { openLabProduct } from './lab-tests/lab-product.ts'

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 })
let opened: AzureLab | undefined
beforeAll(async () => {
  const product = await openLabProduct({ lab: true })
  try {
    await product.signUp()
    const { machine } = await product.waitForLab()
    opened = { product, machineId: machine.id }
  } catch (error) {
    await product.close()
    throw error
  }
})
afterAll(() => opened?.product.close())

describe('a machine that runs in Azure', () =>
  azureRunTests(() => {
    if (opened === undefined) throw new Error('There is no lab')
    return opened
  }))
