// What is run inside a Windows machine to learn its facts: PowerShell that only reads (5.1, as Windows has it). Written after Microsoft's
// documentation of the registry and not yet run on a Windows machine.
import { REPORT_HEAD } from './linux-script.ts'

/** The services of the drivers that decide. */
export const WINDOWS_DRIVERS = ['vmbus', 'storvsc', 'storflt', 'netvsc', 'viostor', 'netkvm'] as const

export const WINDOWS_SCRIPT = `
$ErrorActionPreference = 'SilentlyContinue'
$services = 'HKLM:\\SYSTEM\\CurrentControlSet\\Services'
function Value($path, $name) { (Get-ItemProperty -Path $path -Name $name).$name }
function Say($name, $value) { if ($null -ne $value) { Write-Output ('{0}={1}' -f $name, $value) } }
Write-Output '${REPORT_HEAD} 1'
Say 'name' (Get-CimInstance Win32_OperatingSystem).Caption
Say 'firmware' (Value 'HKLM:\\SYSTEM\\CurrentControlSet\\Control' 'PEFirmwareType')
foreach ($driver in '${WINDOWS_DRIVERS.join("','")}') { Say "start.$driver" (Value "$services\\$driver" 'Start') }
Say 'rdp.denied' (Value 'HKLM:\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server' 'fDenyTSConnections')
Say 'rdp.start' (Value "$services\\TermService" 'Start')
$rules = Get-NetFirewallRule -Group '@FirewallAPI.dll,-28752' | Where-Object { $_.Enabled -eq 'True' -and $_.Direction -eq 'Inbound' -and $_.Action -eq 'Allow' }
if (Get-Command Get-NetFirewallRule) { Say 'rdp.rules' @($rules).Count }
if (Test-Path 'HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootPending') { Say 'restart' 'component servicing' }
if (Test-Path 'HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\Auto Update\\RebootRequired') { Say 'restart' 'Windows Update' }
if (Value 'HKLM:\\SYSTEM\\CurrentControlSet\\Control\\Session Manager' 'PendingFileRenameOperations') { Say 'restart' 'files to be renamed' }
Say 'san' (Value "$services\\partmgr\\Parameters" 'SanPolicy')
foreach ($adapter in Get-CimInstance Win32_NetworkAdapterConfiguration -Filter 'IPEnabled=True') { if (-not $adapter.DHCPEnabled) { Say 'fixed' ($adapter.IPAddress | Select-Object -First 1) } }
$ems = bcdedit /enum '{current}' | Select-String -Pattern '^ems\\s+Yes'
if (Get-Command bcdedit) { Say 'ems' $(if ($ems) { 'yes' } else { 'no' }) }
Say 'agent' $(if (Get-Service WindowsAzureGuestAgent) { 'yes' } else { 'no' })
Write-Output 'end'
`
