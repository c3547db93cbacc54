import {
  Alert,
  Button,
  Checkbox,
  Group,
  Modal,
  PasswordInput,
  Select,
  Stack,
  Text,
  TextInput,
} from '@mantine/core'
import { IconHandStop } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { Protection, ProtectionAction } from '@understudy/contract/protection'
import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import { type FormEvent, type ReactNode, useState } from 'react'
import { api, problemOf } from '../../api/client.ts'
import { formatWithZone } from '../../lib/format.ts'
import { Findings } from '../../ui/Findings.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { toastDone, toastJob } from '../../ui/toast-job.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import { asksForName, planOf } from './action-plan.ts'
import { Foresight, Prospects } from './Foresight.tsx'
import { type ActionOptions, type PointChoice, plainOptions, runAction } from './run-action.ts'
import { isSeedPlace, SeedFields } from './SeedFields.tsx'
import { type SourcePower, withFreshPower } from './source-power.ts'

export type AskedAction = Exclude<ProtectionAction, 'edit'>

type ActionDialogProps = {
  readonly protection: Protection
  readonly action: AskedAction
  /** The point that is selected on the time line: offered, and chosen from the start. */
  readonly point: RecoveryPoint | null
  /** Source and target with the active side, drawn by whoever knows protections. */
  readonly flow: ReactNode
  readonly onClose: () => void
}

/** Names the machine, the direction, the point, what will be lost and how long it takes; then one click. */
export function ActionDialog({ protection, action, point, flow, onClose }: ActionDialogProps) {
  useFocusBack()
  const queries = useQueryClient()
  const plan = planOf[action]
  const [key] = useState(() => crypto.randomUUID())
  const [typed, setTyped] = useState('')
  const [options, setOptions] = useState<ActionOptions>({
    ...plainOptions,
    seed: { folder: protection.seed?.folder ?? '', passphrase: '' },
    point: plan.choosesPoint && point ? { kind: 'point', id: point.id } : { kind: 'latest' },
  })
  const preview = useQuery({
    ...api.protections.failoverPreview.queryOptions({
      input: {
        id: protection.id,
        kind: plan.preview ?? 'test',
        ...pointIdOf(options.point, protection),
      },
    }),
    enabled: plan.preview !== null,
    refetchInterval: 5000,
  })
  const run = useMutation({
    mutationFn: () => runAction(protection.id, action, options, key),
    onSuccess: ({ jobId }) => {
      if (jobId === null) toastDone(`${plan.title}: ${protection.name}`)
      else toastJob(`${plan.title} of ${protection.name} has begun`, jobId)
      onClose()
    },
    onSettled: () => queries.invalidateQueries({ queryKey: api.protections.key() }),
  })
  const machine = useQuery({
    ...api.machines.get.queryOptions({ input: { id: protection.machineId } }),
    enabled: plan.preview === 'planned' || plan.preview === 'unplanned',
    retry: false,
  })
  const gone = machine.error ? problemOf(machine.error).status === 404 : machine.data?.present === false
  const foreseen = preview.data && withFreshPower(preview.data, !gone)
  const power = foreseen?.sourcePower ?? null
  const mustType = asksForName(action, power)
  const blocked = preview.data?.findings.some((finding) => finding.level === 'blocker') ?? false
  const asksForSeed = action === 'export-seed' || action === 'import-seed'
  const ready =
    !blocked &&
    (!mustType || typed === protection.name) &&
    (!asksForSeed || isSeedPlace(options.seed)) &&
    (action !== 'export-seed' || options.passphraseAgain === options.seed.passphrase)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (ready && !run.isPending) run.mutate()
  }
  const set = (change: Partial<ActionOptions>): void => setOptions({ ...options, ...change })

  return (
    <Modal opened onClose={onClose} title={`${plan.title}: ${protection.name}`} size={560}>
      <form onSubmit={submit}>
        <Stack gap="md">
          <div>
            {flow}
            <Text size="sm" mt={6}>
              {plan.effect}
            </Text>
          </div>
          {plan.choosesPoint && (
            <PointSelect
              protection={protection}
              point={point}
              value={options.point}
              onChange={(choice) => set({ point: choice })}
            />
          )}
          {plan.preview !== null && (
            <Foresight protection={protection} kind={plan.preview} preview={foreseen} />
          )}
          <Prospects
            action={action}
            protection={protection}
            pointInstant={instantOf(options.point, point, protection)}
          />
          {preview.error && <ProblemAlert error={preview.error} title="What it would cost is not known" />}
          <Findings findings={preview.data?.findings ?? []} label="What stands in the way" />
          <Options action={action} protection={protection} options={options} onChange={set} power={power} />
          {mustType && (
            <TextInput
              label={
                <Text span size="sm">
                  {action === 'end'
                    ? 'This cannot be undone.'
                    : 'The original is not known to be down: two copies could run at once.'}{' '}
                  Type <b>{protection.name}</b> to go on
                </Text>
              }
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
              autoComplete="off"
              data-autofocus
            />
          )}
          <ProblemAlert error={run.error} />
          <Group justify="flex-end" gap="xs">
            <Button
              variant="default"
              onClick={onClose}
              data-autofocus={plan.danger && !mustType ? true : undefined}
            >
              Cancel
            </Button>
            <Button
              type="submit"
              color={plan.danger ? 'red' : 'teal'}
              disabled={!ready}
              loading={run.isPending}
              data-autofocus={plan.danger ? undefined : true}
            >
              {plan.confirm}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}

/** The point that the preview is asked about; the newest when none is named. */
function pointIdOf(choice: PointChoice, protection: Protection): { pointId?: string } {
  switch (choice.kind) {
    case 'latest':
      return {}
    case 'latest-application-consistent':
      return protection.newestApplicationPoint ? { pointId: protection.newestApplicationPoint.id } : {}
    case 'point':
      return { pointId: choice.id }
  }
}

/** When the point was taken that the failover would start from. Null: there is none. */
function instantOf(choice: PointChoice, point: RecoveryPoint | null, protection: Protection): string | null {
  switch (choice.kind) {
    case 'latest':
      return protection.newestPoint?.instant ?? null
    case 'latest-application-consistent':
      return protection.newestApplicationPoint?.instant ?? null
    case 'point':
      return point?.instant ?? null
  }
}

type PointSelectProps = {
  readonly protection: Protection
  readonly point: RecoveryPoint | null
  readonly value: PointChoice
  readonly onChange: (choice: PointChoice) => void
}

function PointSelect({ protection, point, value, onChange }: PointSelectProps) {
  const { newestPoint, newestApplicationPoint } = protection
  const data = [
    {
      value: 'latest',
      label: `Latest${newestPoint ? `, ${formatWithZone(newestPoint.instant)}` : ''}`,
    },
    ...(newestApplicationPoint
      ? [
          {
            value: 'latest-application-consistent',
            label: `Latest application-consistent, ${formatWithZone(newestApplicationPoint.instant)}`,
          },
        ]
      : []),
    ...(point
      ? [{ value: 'point', label: `Chosen on the time line, ${formatWithZone(point.instant)}` }]
      : []),
  ]
  return (
    <div>
      <Select
        label="Recovery point"
        allowDeselect={false}
        data={data}
        value={value.kind}
        onChange={(kind) => {
          if (kind === 'point' && point) onChange({ kind, id: point.id })
          else if (kind === 'latest' || kind === 'latest-application-consistent') onChange({ kind })
        }}
      />
      {!point && (
        <Text size="xs" c="var(--ink-quiet)" mt={4}>
          For any other moment choose it on the time line of recovery points first.
        </Text>
      )}
      {point?.suspicious && value.kind === 'point' && (
        <Text size="sm" c="var(--at-risk)" mt={4}>
          Suspicious: {point.suspicious}
        </Text>
      )}
    </div>
  )
}

type OptionsProps = {
  readonly action: AskedAction
  readonly protection: Protection
  readonly options: ActionOptions
  readonly power: SourcePower | null
  readonly onChange: (change: Partial<ActionOptions>) => void
}

/** What else can be chosen; each says what it risks. */
function Options({ action, protection, options, power, onChange }: OptionsProps) {
  if (action === 'test-failover')
    return (
      <Checkbox
        label="Where no isolated network is mapped, use the failover network"
        description="The copy can then reach your production systems, and they can reach the copy."
        checked={options.allowOpenNetworks}
        onChange={(event) => onChange({ allowOpenNetworks: event.currentTarget.checked })}
      />
    )
  if (action === 'unplanned-failover' && power !== 'off')
    return (
      <Alert
        color="yellow"
        variant="light"
        icon={<IconHandStop size={18} />}
        title="Is the original really down?"
      >
        <Checkbox
          label="I vouch for it: go on without proof"
          description="Understudy tries to switch the original off. If it cannot, it asks you, unless you vouch here. Kept in the audit log."
          checked={options.acceptUnfenced}
          onChange={(event) => onChange({ acceptUnfenced: event.currentTarget.checked })}
        />
      </Alert>
    )
  if (action === 'reprotect' && protection.source.platform === 'physical')
    return (
      <Text size="sm" c="var(--ink-quiet)">
        The server at {protection.source.name} has to stay off. It comes home by a fail-back: then it, or
        another server in its place, is started from the rescue system.
      </Text>
    )
  if (action === 'reprotect')
    return (
      <Checkbox
        label="If the original runs again, switch it off"
        description="Without this, reprotect is refused while the original runs."
        checked={options.powerOffOriginal}
        onChange={(event) => onChange({ powerOffOriginal: event.currentTarget.checked })}
      />
    )
  if (action === 'fail-back' && protection.target.platform === 'physical')
    return (
      <Text size="sm" c="var(--ink-quiet)">
        The server has to be started from the rescue system first, and be chosen for {protection.name} on the
        agents page of {protection.target.name}. Its disks are written while the machine still serves; at the
        end it restarts from them.
      </Text>
    )
  if (action === 'fail-back')
    return (
      <Checkbox
        label="Overwrite the original even if it was changed meanwhile"
        description="Without this, fail back is refused when the original was written to since the failover."
        checked={options.overwriteModified}
        onChange={(event) => onChange({ overwriteModified: event.currentTarget.checked })}
      />
    )
  if (action === 'import-seed')
    return <SeedFields value={options.seed} onChange={(seed) => onChange({ seed })} />
  if (action === 'export-seed')
    return (
      <>
        <SeedFields value={options.seed} onChange={(seed) => onChange({ seed })}>
          <PasswordInput
            label="Passphrase again"
            value={options.passphraseAgain}
            error={
              options.passphraseAgain !== '' && !options.seed.passphrase.startsWith(options.passphraseAgain)
                ? 'It differs from the one above'
                : null
            }
            onChange={(event) => onChange({ passphraseAgain: event.currentTarget.value })}
            autoComplete="new-password"
          />
        </SeedFields>
        <Checkbox
          label="The folder may lie on a disk of the server"
          description="Without this, a folder is refused where no other disk is mounted. At least 8 GiB stay free there."
          checked={options.acceptServerDisk}
          onChange={(event) => onChange({ acceptServerDisk: event.currentTarget.checked })}
        />
      </>
    )
  if (action === 'end')
    return (
      <Checkbox
        label="Keep the replica and its recovery points"
        description="Otherwise every recovery point of this machine is deleted."
        checked={options.keepReplica}
        onChange={(event) => onChange({ keepReplica: event.currentTarget.checked })}
      />
    )
  return null
}
