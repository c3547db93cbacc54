import { ActionIcon, Button, Group, Menu, Tooltip } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import {
  IconArrowBackUp,
  IconArrowForwardUp,
  IconDeviceFloppy,
  IconDots,
  IconDownload,
  IconTestPipe,
  IconTrash,
} from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { PlanDetail } from '@understudy/contract/recovery-plan'
import { roleOf } from '@understudy/contract/roles'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ConfirmByName } from '../../ui/ConfirmByName.tsx'
import { toastProblem } from '../../ui/toast-job.tsx'
import { downloadText, fileNameOf } from './download-text.ts'
import type { DrawnPlan } from './use-plan-editor.ts'

type PlanActionsProps = {
  readonly detail: PlanDetail
  readonly drawn: DrawnPlan
  readonly saveReason: string | null
  readonly onSave: () => void
  readonly onDryRun: () => void
  readonly onRemoved: () => void
}

export function PlanActions({ detail, drawn, saveReason, onSave, onDryRun, onRemoved }: PlanActionsProps) {
  const { undoable, redoable, editor } = drawn
  const whyRefused = useWhyRefused()
  const [removing, { open: askRemove, close: stopRemoving }] = useDisclosure()
  const download = useMutation({
    mutationFn: () => client.plans.document({ id: detail.id }),
    onSuccess: ({ text }) => downloadText(fileNameOf(detail.name), text),
    onError: (error) => toastProblem('The plan could not be exported', error),
  })
  return (
    <>
      <Group gap={4}>
        <HistoryButton
          what={undoable}
          verb="Undo"
          keys="Ctrl Z"
          icon={IconArrowBackUp}
          onClick={editor.undo}
        />
        <HistoryButton
          what={redoable}
          verb="Redo"
          keys="Ctrl Shift Z"
          icon={IconArrowForwardUp}
          onClick={editor.redo}
        />
      </Group>
      <ActionButton
        variant="default"
        reason={whyRefused(roleOf.plans.dryRun)}
        leftSection={<IconTestPipe size={15} />}
        onClick={onDryRun}
      >
        Dry run
      </ActionButton>
      <ActionButton reason={saveReason} leftSection={<IconDeviceFloppy size={15} />} onClick={onSave}>
        Save
      </ActionButton>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button variant="default" px={8} aria-label="More">
            <IconDots size={16} />
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconDownload size={15} />} onClick={() => download.mutate()}>
            Export version {detail.version} as YAML
          </Menu.Item>
          <Menu.Item
            color="red"
            leftSection={<IconTrash size={15} />}
            disabled={whyRefused(roleOf.plans.remove) !== null}
            onClick={askRemove}
          >
            Remove the plan
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <RemovePlan
        detail={detail}
        drawn={drawn}
        opened={removing}
        onClose={stopRemoving}
        onRemoved={onRemoved}
      />
    </>
  )
}

type HistoryButtonProps = {
  readonly what: string | null
  readonly verb: 'Undo' | 'Redo'
  readonly keys: string
  readonly icon: typeof IconArrowBackUp
  readonly onClick: () => void
}

function HistoryButton({ what, verb, keys, icon: Shape, onClick }: HistoryButtonProps) {
  const label = what === null ? `Nothing to ${verb.toLowerCase()}` : `${verb}: ${what} (${keys})`
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="default"
        size={30}
        aria-label={what === null ? verb : `${verb}: ${what}`}
        aria-disabled={what === null}
        {...(what === null ? { 'data-disabled': true } : {})}
        onClick={onClick}
      >
        <Shape size={16} />
      </ActionIcon>
    </Tooltip>
  )
}

type RemovePlanProps = {
  readonly detail: PlanDetail
  readonly drawn: DrawnPlan
  readonly opened: boolean
  readonly onClose: () => void
  readonly onRemoved: () => void
}

function RemovePlan({ detail, drawn, opened, onClose, onRemoved }: RemovePlanProps) {
  const queries = useQueryClient()
  const remove = useMutation({
    mutationFn: () => client.plans.remove({ id: detail.id }),
    onSuccess: () => {
      // Nothing is left that leaving could lose.
      drawn.editor.rebase(drawn.base.plan, drawn.base.version)
      queries.removeQueries({ queryKey: api.plans.get.queryKey({ input: { id: detail.id } }) })
      setTimeout(onRemoved)
    },
    onSettled: () => queries.invalidateQueries({ queryKey: api.plans.list.key() }),
  })
  return (
    <ConfirmByName
      opened={opened}
      onClose={onClose}
      title="Remove the plan"
      name={detail.name}
      confirm="Remove it"
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
    >
      All its versions and its secrets go with it. What has been run stays in the list of runs; machines and
      their protections are not touched.
    </ConfirmByName>
  )
}
