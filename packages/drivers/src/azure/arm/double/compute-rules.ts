// Disks and machines as Azure keeps them: a disk is made of a blob that is a fixed VHD, belongs to one machine, and cannot be removed
// while it does.
import { randomUUID } from 'node:crypto'
import { GiB } from '@understudy/base/bytes'
import { sameId } from '../resource-id.ts'
import { ArmError, type DoubleSite, type Json, type KindRules, type Resource } from './double-parts.ts'

export const MACHINE = 'Microsoft.Compute/virtualMachines'
export const DISK = 'Microsoft.Compute/disks'

const needed = (site: DoubleSite, id: string | undefined, what: string): Resource => {
  const found = site.find(id)
  if (found !== undefined) return found
  throw new ArmError(404, 'ResourceNotFound', `The ${what} '${id}' was not found.`)
}
const bad = (message: string): ArmError => new ArmError(400, 'InvalidParameter', message)

const disks: KindRules = {
  type: DISK,
  put(site, resource, before) {
    const { properties } = resource
    if (before !== undefined) {
      properties.diskState = before.properties.diskState
      properties.LastOwnershipUpdateTime = before.properties.LastOwnershipUpdateTime
      properties.uniqueId = before.properties.uniqueId
      return async () => {
        // Asked for again while it was made: it is what became of that.
        if (before.content === undefined)
          throw new ArmError(409, 'Conflict', `The disk ${resource.name} was not made.`)
        resource.content = before.content
        properties.diskSizeBytes = before.properties.diskSizeBytes
        properties.diskSizeGB = before.properties.diskSizeGB
      }
    }
    const { createOption, sourceUri, storageAccountId } = properties.creationData
    if (createOption !== 'Import') throw bad('the double makes disks of blobs only')
    if (storageAccountId === undefined)
      throw bad("Required parameter 'creationData.storageAccountId' is missing (null).")
    properties.diskState = 'Unattached'
    properties.uniqueId = randomUUID()
    properties.timeCreated = new Date(0).toISOString()
    return async () => {
      const content = await site.openBlob(sourceUri)
      resource.content = content
      properties.diskSizeBytes = content.bytes
      properties.diskSizeGB = Math.ceil(content.bytes / GiB)
    }
  },
  checkRemoval(site, { id, name }) {
    const user = machineWith(site, id)
    if (user === null) return
    throw new ArmError(409, 'OperationNotAllowed', `Disk ${name} is attached to VM ${user.id}.`)
  },
}

const machines = (site: DoubleSite): readonly Resource[] =>
  [...site.resources.values()].filter(({ type }) => type === MACHINE)

const machineDisks = ({ properties }: Resource): readonly Json[] => [
  properties.storageProfile.osDisk,
  ...(properties.storageProfile.dataDisks ?? []).toSorted((a: Json, b: Json) => a.lun - b.lun),
]
const diskIds = (machine: Resource): readonly string[] =>
  machineDisks(machine).map((disk) => disk.managedDisk.id)
const adapterIds = ({ properties }: Resource): readonly string[] =>
  (properties.networkProfile?.networkInterfaces ?? []).map(({ id }: Json) => id)

const vms: KindRules = {
  type: MACHINE,
  put(site, resource, before) {
    const { properties } = resource
    if (before !== undefined) return async () => {}
    checkDisks(site, resource)
    checkAdapters(site, resource)
    properties.vmId = randomUUID()
    // From now on they are taken, whatever becomes of the machine.
    for (const id of diskIds(resource)) {
      const disk = needed(site, id, 'disk')
      disk.properties.diskState = 'Attached'
      disk.properties.LastOwnershipUpdateTime = site.now()
    }
    for (const id of adapterIds(resource)) {
      const adapter = needed(site, id, 'network interface')
      adapter.properties.virtualMachine = { id: resource.id }
    }
    for (const disk of machineDisks(resource)) {
      const own = needed(site, disk.managedDisk.id, 'disk')
      disk.name ??= own.name
      disk.managedDisk.storageAccountType ??= own.sku?.name
      if (own.properties.diskSizeGB !== undefined) disk.diskSizeGB ??= own.properties.diskSizeGB
    }
    return () => startMachine(site, resource)
  },
  checkRemoval() {},
  async removed(site, resource) {
    await stopMachine(site, resource, 'deallocated')
    for (const part of [...site.resources.values()])
      if (part.id.toLowerCase().startsWith(`${resource.id.toLowerCase()}/`))
        site.resources.delete(part.id.toLowerCase())
    for (const disk of machineDisks(resource)) {
      const own = site.find(disk.managedDisk.id)
      if (own === undefined) continue
      own.properties.diskState = 'Unattached'
      if (disk.deleteOption === 'Delete') site.resources.delete(own.id.toLowerCase())
    }
    for (const adapter of resource.properties.networkProfile.networkInterfaces) {
      const own = site.find(adapter.id)
      if (own === undefined) continue
      own.properties.virtualMachine = undefined
      if (adapter.properties?.deleteOption === 'Delete') site.resources.delete(own.id.toLowerCase())
    }
  },
}

function checkDisks(site: DoubleSite, { properties, location }: Resource): void {
  const { osDisk, dataDisks = [] } = properties.storageProfile
  // A disk that was in use elsewhere has its own users and names.
  if (properties.osProfile !== undefined) throw bad("Parameter 'osProfile' is not allowed.")
  if (osDisk.osType === undefined) throw bad("Required parameter 'osDisk.osType' is missing (null).")
  const luns = dataDisks.map(({ lun }: Json) => lun)
  if (new Set(luns).size !== luns.length) throw bad('Two data disks have the same LUN.')
  for (const disk of [osDisk, ...dataDisks]) {
    if (disk.createOption !== 'Attach') throw bad('the double attaches disks that are there only')
    const own = needed(site, disk.managedDisk?.id, 'disk')
    const { diskState, provisioningState } = own.properties
    if (diskState !== 'Unattached' || provisioningState !== 'Succeeded')
      throw new ArmError(
        409,
        'ConflictingUserInput',
        `Disk '${own.id}' cannot be attached as the disk is ${diskState} (${provisioningState}).`,
      )
    if (own.location.toLowerCase() !== location.toLowerCase()) throw bad('A disk is in another region.')
  }
  const boot = needed(site, osDisk.managedDisk.id, 'disk')
  const generation = boot.properties.hyperVGeneration ?? 'V1'
  const size = sizeNamed(properties.hardwareProfile.vmSize)
  if (size === undefined)
    throw new ArmError(
      400,
      'InvalidParameter',
      `The value ${properties.hardwareProfile.vmSize} provided for the VM size is not valid.`,
    )
  if (!size.generations.includes(generation))
    throw new ArmError(
      400,
      'BadRequest',
      `The selected VM size '${size.name}' cannot boot Hypervisor Generation '${generation === 'V1' ? 1 : 2}'.`,
    )
  if (dataDisks.length > size.dataDisks)
    throw new ArmError(
      409,
      'OperationNotAllowed',
      `The maximum number of data disks allowed to be attached to a VM of this size is ${size.dataDisks}.`,
    )
}

function checkAdapters(site: DoubleSite, { properties }: Resource): void {
  const adapters = properties.networkProfile?.networkInterfaces ?? []
  if (adapters.length === 0) throw bad("Required parameter 'networkProfile' is missing (null).")
  if (adapters.length > 1 && adapters.filter((one: Json) => one.properties?.primary === true).length !== 1)
    throw bad('One network interface must be primary.')
  for (const { id } of adapters) {
    const own = needed(site, id, 'network interface')
    if (own.properties.virtualMachine !== undefined)
      throw new ArmError(
        400,
        'NicInUse',
        `Network Interface ${id} is used by existing resource ${own.properties.virtualMachine.id}.`,
      )
  }
}

export async function startMachine(site: DoubleSite, machine: Resource): Promise<void> {
  if (machine.power === 'running') return
  const disks = diskIds(machine).map((id) => {
    const { content } = needed(site, id, 'disk')
    if (content === undefined)
      throw new ArmError(409, 'Conflict', 'A disk of the machine has no content yet.')
    return content
  })
  await site.runner?.start({ name: machine.name, disks })
  machine.power = 'running'
  noteOwnership(site, machine)
}

export async function stopMachine(
  site: DoubleSite,
  machine: Resource,
  power: 'stopped' | 'deallocated',
): Promise<void> {
  if (machine.power === 'running') await site.runner?.stop(machine.name)
  if (power === 'deallocated' && machine.power !== 'deallocated') noteOwnership(site, machine)
  machine.power = power
}

/** Azure tells of a disk when it was last attached or detached, or its machine started or deallocated. */
function noteOwnership(site: DoubleSite, machine: Resource): void {
  for (const id of diskIds(machine)) {
    const disk = site.find(id)
    if (disk !== undefined) disk.properties.LastOwnershipUpdateTime = site.now()
  }
}

/** Null: nobody has it. */
export const machineWith = (site: DoubleSite, diskId: string): Resource | null =>
  machines(site).find((machine) => diskIds(machine).some((id) => sameId(id, diskId))) ?? null

export function instanceView({ power, properties }: Resource): Json {
  const provisioning = String(properties.provisioningState).toLowerCase()
  return {
    statuses: [
      {
        code: `ProvisioningState/${provisioning}`,
        level: 'Info',
        displayStatus: `Provisioning ${provisioning}`,
      },
      ...(power === undefined
        ? []
        : [{ code: `PowerState/${power}`, level: 'Info', displayStatus: `VM ${power}` }]),
    ],
  }
}

// --- what the region offers

type Size = {
  readonly name: string
  readonly family: string
  readonly cpus: number
  readonly memoryGiB: number
  readonly dataDisks: number
  readonly adapters: number
  readonly generations: string
  readonly processor?: string
  readonly premium?: boolean
  readonly restricted?: boolean
}

const sizes: readonly Size[] = [
  {
    name: 'Standard_B1s',
    family: 'standardBSFamily',
    cpus: 1,
    memoryGiB: 1,
    dataDisks: 2,
    adapters: 2,
    generations: 'V1,V2',
    premium: true,
  },
  {
    name: 'Standard_B2s',
    family: 'standardBSFamily',
    cpus: 2,
    memoryGiB: 4,
    dataDisks: 4,
    adapters: 3,
    generations: 'V1,V2',
    premium: true,
  },
  {
    name: 'Standard_D2pls_v5',
    family: 'standardDPLSv5Family',
    cpus: 2,
    memoryGiB: 4,
    dataDisks: 4,
    adapters: 2,
    generations: 'V2',
    processor: 'Arm64',
    premium: true,
  },
  {
    name: 'Standard_D2s_v5',
    family: 'standardDSv5Family',
    cpus: 2,
    memoryGiB: 8,
    dataDisks: 4,
    adapters: 2,
    generations: 'V1,V2',
    premium: true,
  },
  {
    name: 'Standard_D4_v5',
    family: 'standardDv5Family',
    cpus: 4,
    memoryGiB: 16,
    dataDisks: 8,
    adapters: 2,
    generations: 'V1,V2',
  },
  {
    name: 'Standard_D4as_v6',
    family: 'standardDav6Family',
    cpus: 4,
    memoryGiB: 16,
    dataDisks: 8,
    adapters: 2,
    generations: 'V2',
    premium: true,
  },
  {
    name: 'Standard_E4s_v5',
    family: 'standardESv5Family',
    cpus: 4,
    memoryGiB: 32,
    dataDisks: 8,
    adapters: 2,
    generations: 'V1,V2',
    premium: true,
    restricted: true,
  },
  {
    name: 'Standard_D8s_v5',
    family: 'standardDSv5Family',
    cpus: 8,
    memoryGiB: 32,
    dataDisks: 16,
    adapters: 4,
    generations: 'V1,V2',
    premium: true,
  },
]

const sizeNamed = (name: string): Size | undefined =>
  sizes.find((size) => size.name.toLowerCase() === String(name).toLowerCase())

export const skus = (region: string): readonly Json[] =>
  sizes.map((size) => ({
    resourceType: 'virtualMachines',
    name: size.name,
    family: size.family,
    locations: [region],
    locationInfo: [{ location: region, zones: ['1', '2'] }],
    capabilities: [
      { name: 'vCPUs', value: `${size.cpus}` },
      { name: 'MemoryGB', value: `${size.memoryGiB}` },
      { name: 'MaxDataDiskCount', value: `${size.dataDisks}` },
      { name: 'MaxNetworkInterfaces', value: `${size.adapters}` },
      { name: 'HyperVGenerations', value: size.generations },
      { name: 'CpuArchitectureType', value: size.processor ?? 'x64' },
      { name: 'PremiumIO', value: size.premium === true ? 'True' : 'False' },
    ],
    restrictions:
      size.restricted === true
        ? [{ type: 'Location', values: [region], reasonCode: 'NotAvailableForSubscription' }]
        : [],
  }))

/** `quota` in processors, of the whole region. */
export function usages(site: DoubleSite, quota: number): readonly Json[] {
  const used = machines(site)
  const cpusOf = (machine: Resource): number =>
    sizeNamed(machine.properties.hardwareProfile.vmSize)?.cpus ?? 0
  const cores = used.reduce((sum, machine) => sum + cpusOf(machine), 0)
  const entry = (value: string, localizedValue: string, currentValue: number, limit: number): Json => ({
    unit: 'Count',
    currentValue,
    limit,
    name: { value, localizedValue },
  })
  const families = [...new Set(sizes.map(({ family }) => family))].map((family) => {
    const own = used.filter(
      (machine) => sizeNamed(machine.properties.hardwareProfile.vmSize)?.family === family,
    )
    return entry(
      family,
      `${family} vCPUs`,
      own.reduce((sum, machine) => sum + cpusOf(machine), 0),
      quota,
    )
  })
  return [
    entry('cores', 'Total Regional vCPUs', cores, quota),
    entry('virtualMachines', 'Virtual Machines', used.length, 25000),
    ...families,
  ]
}

/** Azure refuses a machine for which there is no quota when it is asked for. */
export function checkQuota(site: DoubleSite, { properties }: Resource, quota: number): void {
  const size = sizeNamed(properties.hardwareProfile?.vmSize)
  const cores = Number(usages(site, quota)[0]?.currentValue)
  if (size === undefined || cores + size.cpus <= quota) return
  throw new ArmError(
    409,
    'OperationNotAllowed',
    `Operation could not be completed as it results in exceeding approved Total Regional Cores quota. Current Limit: ${quota}, Current Usage: ${cores}, Additional Required: ${size.cpus}.`,
  )
}

/** An operator makes them; here they are only named. */
const availabilitySets: KindRules = {
  type: 'Microsoft.Compute/availabilitySets',
  put: () => async () => {},
  stateless: true,
  checkRemoval() {},
}

export const computeRules: readonly KindRules[] = [disks, vms, availabilitySets]
