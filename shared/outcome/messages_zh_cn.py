"""The sentences of `shared/outcome/messages.py` in Simplified Chinese (LANGUAGE=zh-CN).

Each name, key, `{name}` in braces and code span of that file stands here as well.
"""

IN_RUNNER = "这里指的是运行器项目（RUNNER_PROJECT）。"

AUTO_LINE = "`.gitlab/claude-auto.conf` 的第 {line} 行有误。"

REASONS = {
    "QUEUED": ("已收到这次提及，几秒内开始运行。", ""),
    "NO_MENTION": (
        "文本中没有提及触发词。",
        "请把触发词写成普通文本：代码、引用、链接和隐藏文本中的不算。",
    ),
    "EVENT_NOT_SERVED": (
        "这类事件不会触发任何操作。",
        (
            "请在 Webhook 设置中取消勾选它。支持的事件：两种 Comments、两种 Issues、"
            "Merge request 和 Pipeline events。"
        ),
    ),
    "TARGET_UNKNOWN": ("不支持史诗、设计和 Wiki。", "请在议题或合并请求中提出。"),
    "NOTHING_NEW": (
        "这次变更没有新增能启动运行的提及、指派、评审请求或标签。",
        "请发一条带触发词的评论。",
    ),
    "NOT_OUR_PIPELINE": ("这条流水线不是由我们启动的。", ""),
    "MALFORMED": (
        "请求体不是 GitLab 发送的事件格式。",
        "如果 Webhook 设置了自定义模板，请将其删除。",
    ),
    "SYSTEM_NOTE": ("这条评论是 GitLab 自动生成的。", ""),
    "EDITED_NOTE": ("编辑评论不会触发任何操作。", "请发一条新评论。"),
    "OWN_NOTE": ("这条评论是我们自己的回复。", ""),
    "PROJECT_NOT_ALLOWED": ("本部署不服务于该项目。", "请把该项目加入 ALLOWED_PROJECTS。"),
    "TOKEN_NOT_FOR_PROJECT": (
        "该 Webhook 的令牌不属于这个项目。",
        (
            "请在 WEBHOOK_SECRETS 中把项目写在令牌旁边：用项目 ID，或者在 api_token 能看"
            "到该项目时用项目路径。如果名称已在其中，说明有人用了其他项目的令牌。"
        ),
    ),
    "CONFIDENTIAL_OFF": (
        "本部署不处理内部备注和私密议题。",
        "请把 SERVE_CONFIDENTIAL 设为 true。",
    ),
    "DISABLED": ("本部署已关闭。", "请把 ENABLED 设为 true。"),
    "DEFECT": (
        "处理这次投递时触发了本软件的缺陷。",
        "请上报对应的日志行；修复之前，请换一种写法发表评论。",
    ),
    "METHOD_NOT_ALLOWED": ("投递只接受 POST 请求。", "请把该 URL 用作 GitLab Webhook 地址。"),
    "BODY_TOO_LARGE": ("请求体超过了 GitLab 的发送上限（25 MiB）。", ""),
    "UNSIGNED": (
        "这次投递既没有签名，也没有密钥令牌。",
        "请在 Webhook 设置中填写签名令牌或密钥令牌。",
    ),
    "SIGNATURE_MISSING": (
        "已配置签名令牌，但这次投递没有完整的签名。",
        ("请在 Webhook 设置中填写签名令牌（GitLab 19.0 或更高版本），或者只配置密钥令牌。"),
    ),
    "SIGNATURE_STALE": (
        "签名时间与本机时间相差超过 300 秒。",
        "请检查 GitLab 的时钟；较早的投递可以用 Resend 重新发送。",
    ),
    "SIGNATURE_WRONG": (
        "该签名与已配置的任何签名令牌都不匹配。",
        "请把 Webhook 的签名令牌复制到 WEBHOOK_SECRETS。",
    ),
    "TOKEN_WRONG": (
        "该密钥令牌不在已配置的令牌之中。",
        "请把 Webhook 的密钥令牌复制到 WEBHOOK_SECRETS。",
    ),
    "SECRETS_UNAVAILABLE": (
        "无法读取密钥，因此既不能校验，也不能发送任何内容。",
        "请检查密钥是否存在、内容是否为文档所述的 JSON，以及函数是否有权读取。",
    ),
    "QUEUE_UNAVAILABLE": (
        "队列没有接收运行请求，因此什么也没有保存。",
        "请检查队列以及函数的写入权限，然后使用 Resend 重新发送。",
    ),
    "TRIGGERED": ("流水线已启动。", ""),
    "ANSWERED": ("问题已在讨论中答复，不需要流水线。", ""),
    "TRACKED": ("回复会显示流水线的进展。", ""),
    "WAITING": ("这次运行正在排队，轮到时会自动开始；回复中写有时间。", ""),
    "PACED": ("许多延迟的运行同时到来，因此会依次启动。", ""),
    "CANCELLED": ("在轮到它之前已被停止。", ""),
    "DUPLICATE": ("这次提及已经运行过。", ""),
    "BUSY": ("另一个工作进程正在处理这次运行。", ""),
    "PROJECT_NOT_SEEN": (
        "API 令牌的用户在 GitLab 上看不到这样的项目。",
        (
            "请把该用户加为项目成员。如果它不服务于这个项目，说明持有 Webhook 令牌的人伪"
            "造了这次投递。"
        ),
    ),
    "THREAD_GONE": ("评论或它所在的议题、合并请求已被删除，无法在那里告知任何人。", ""),
    "BOT_AUTHOR": ("这条评论由机器人发出。", "允许提出请求的机器人列在 ALLOWED_BOTS 中。"),
    "NOT_A_MEMBER": ("只有本项目的成员才能提出请求。", "维护者可以把您加入项目。"),
    "KNOWN_STRANGER": (
        "作者片刻之前还不是本项目的成员，因此没有再次向 GitLab 查询。",
        "维护者可以把作者加入项目；十分钟后会重新查询。",
    ),
    "MEMBERSHIP_INACTIVE": ("您在本项目中的成员资格未处于有效状态。", "维护者可以续期或批准。"),
    "ROLE_TOO_LOW": (
        "您在本项目中的角色低于要求。",
        "维护者可以提升您的角色；本部署的最低要求由 MINIMUM_ROLE 设定。",
    ),
    "USER_NOT_ACTIVE": ("您的 GitLab 账号未处于活跃状态。", "管理员可以激活它。"),
    "EXTERNAL_USER": ("外部用户不能提出请求。", "管理员可以把该账号改为内部用户。"),
    "TARGET_NOT_SERVED": (
        "对提交和代码片段的评论不会触发任何操作。",
        "请在议题或合并请求中提出，其中可以链接到该提交或代码片段。",
    ),
    "FORK_MERGE_REQUEST": (
        "不处理来自派生项目的合并请求：它们的代码不得接触本项目的密钥。",
        (
            "请把分支推送到本项目，并在本项目中创建合并请求。"
            "负责本部署的人可以用 FORKS=read-only 让 Claude 只读地查看派生项目的合并请求。"
        ),
    ),
    "FORK_READ_ONLY": (
        "在来自派生项目的合并请求中，Claude 只读取，不做任何修改。",
        "请提出评审或解释的请求；如需修改，请把分支推送到本项目，并在本项目中创建合并请求。",
    ),
    "NOTE_CHANGED": ("请求内容在发出后被修改或已删除，因此没有运行。", "请发一条新评论。"),
    "USER_LIMIT": (
        "您一小时内启动的运行次数已达到本部署的上限。",
        "请稍后再试；上限由 RUNS_PER_USER_PER_HOUR 设定。",
    ),
    "THREAD_LIMIT": (
        "本讨论十分钟内启动的运行次数已达到本部署的上限。",
        "请稍后再试；上限由 RUNS_PER_THREAD 设定。",
    ),
    "PROJECT_LIMIT": (
        "本项目一天内启动的运行次数已达到本部署的上限。",
        "请明天再试；上限由 RUNS_PER_PROJECT_PER_DAY 设定。",
    ),
    "DAY_LIMIT": (
        "本部署一天内启动的运行次数已达到上限。",
        "请明天再试；上限由 RUNS_PER_DAY 设定。",
    ),
    "BUDGET_USER": (
        "您今天的预算已不够再启动一次运行。",
        "负责本部署的人可以提高 BUDGET_PER_USER_DAY。",
    ),
    "BUDGET_PROJECT": (
        "本项目本月的预算已不够再启动一次运行。",
        "负责本部署的人可以提高 BUDGET_PER_PROJECT_MONTH。",
    ),
    "BUDGET_INSTALLATION": (
        "本部署本月的预算已不够再启动一次运行。",
        "负责本部署的人可以提高 BUDGET_PER_INSTALLATION_MONTH。",
    ),
    "COMMAND_LIMIT": (
        "本讨论十分钟内对命令的答复已达到我们的上限。",
        "请十分钟后再试。",
    ),
    "OVER_LIMIT": ("已达到上限，并且此前已经告知。", "请稍后再试。"),
    "NOT_BY_POLICY": (
        "无人提出，并且策略不允许它自行启动。",
        "请用触发词提出。哪些会自行启动，由 AUTO 和项目的文件规定。",
    ),
    "SUPERSEDED": (
        "有了更新的提交，或者合并请求不再处于打开且就绪的状态，或者要修复的流水线已不是其最新的流水线，或已不再是失败状态。",
        "",
    ),
    "NOTHING_TO_REPAIR": (
        "失败的流水线是我们自己的，或者不属于任何打开且就绪的合并请求的最新提交。",
        "",
    ),
    "AUTO_LIMIT": (
        "这个合并请求可以自行启动的运行次数已经用完。",
        "请用触发词提出；运维人员可以调高 AUTO 中的 `runs`。",
    ),
    "AUTO_UNREADABLE": (
        "规定这里哪些会自行启动的文件无法读取，因此什么也不会自行启动。",
        "可以推送到默认分支的人可以改正它。",
    ),
    "OPTION_UNKNOWN": (
        "没有这个选项。",
        "可用的选项有 --model、--turns 和 --minutes，须写在正文之前。",
    ),
    "OPTION_VALUE": (
        "选项缺少取值，或取值超出范围。",
        "请填写从 1 到本部署 MAX_TURNS 或 MAX_MINUTES 之间的整数。",
    ),
    "MODEL_NOT_OFFERED": (
        "本部署不提供该模型。",
        "请选择 ALLOWED_MODELS 中列出的模型，或者去掉 --model。",
    ),
    "NOTHING_TO_RETRY": ("本讨论中没有可以重试的运行。", "请直接写明您的请求。"),
    "MODEL_RETIRED": (
        "本部署指定的模型已被提供商下线。",
        "请把 MODEL 设为仍在提供服务的模型。",
    ),
    "MODEL_RETIRES": (
        "本部署指定的模型几周后就会下线；具体是哪一个，请看日志。",
        "请把 MODEL 设为较新的模型。",
    ),
    "UNCERTAIN": (
        "GitLab 没有说明流水线是否已启动，而我们的令牌无权查看。",
        "请到 Build > Pipelines 查看；如果没有对应的流水线，请再次提出请求。",
    ),
    "DEAD_LETTER": (
        "我们已尽可能重试，但 GitLab 或本部署的某个部分没有正常工作。",
        "运维人员可以重放这次运行；您也可以再次提出请求。",
    ),
    "RECORD_UNREADABLE": (
        "当前版本无法读取这次运行的记录，因此保持原样。",
        "请部署写入该记录的版本或更高版本；或者删除该记录，然后再次提出请求。",
    ),
    "REQUEST_UNREADABLE": (
        "队列中有一条当前版本无法读取的消息；日志中有它的编号。",
        "请部署写入该消息的版本或更高版本，然后重放死信。",
    ),
    "HOOKS_UNSEEN": (
        ("我们的令牌无权查看项目的 Webhook：如果 GitLab 停用了某个 Webhook，没有人会收到通知。"),
        "请让 API 令牌的用户成为项目的 Maintainer，或者自行检查项目的 Webhook。",
    ),
    "HOOK_DISABLED": (
        "GitLab 已停用本项目的一个 Webhook。",
        (
            "请根据该 Webhook 的最近事件排除故障，然后在 Settings > Webhooks 中测试；在此"
            "之前会轮询评论。"
        ),
    ),
    "TRIGGER_TOKEN_MISSING": (
        "没有为本项目配置流水线触发令牌。",
        (
            "维护者可以创建一个（Settings > CI/CD > Pipeline trigger tokens），并加入 "
            "GITLAB_SECRETS。"
        ),
    ),
    "TRIGGER_TOKEN_REJECTED": (
        "GitLab 不认识本项目的流水线触发令牌。",
        ("请检查 GITLAB_SECRETS 中的令牌是否属于本项目，以及令牌的所有者是否仍是项目成员。"),
    ),
    "API_TOKEN_REJECTED": (
        "GitLab 不接受该 API 令牌。",
        (
            "请检查 GITLAB_SECRETS 中的 api_token 是否未过期、是否具有 api 范围，以及是否"
            "属于项目成员。"
        ),
    ),
    "REF_NOT_FOUND": (
        "要运行流水线的分支不存在。",
        "请恢复该分支，或把 PIPELINE_REF 设为 default；空仓库需要先有一个提交。",
    ),
    "REPOSITORY_EMPTY": (
        "项目的仓库为空：没有可以运行流水线的分支。",
        "请推送第一个提交，并在其 .gitlab-ci.yml 中引入 claude 组件。",
    ),
    "REF_NOT_PERMITTED": (
        "流水线触发令牌的所有者无权在该分支上运行流水线。",
        "请允许该所有者的角色合并或推送到受保护分支；在已归档的项目中任何人都不行。",
    ),
    "WORKFLOW_RULES": (
        "项目的 workflow:rules 排除了由触发器启动的流水线。",
        '请在 workflow:rules 中添加一条 $CI_PIPELINE_SOURCE == "trigger" 的规则。',
    ),
    "NO_JOB": (
        "项目中没有作业匹配由触发器启动的流水线。",
        ('请给作业添加一条 $CI_PIPELINE_SOURCE == "trigger" 的规则，或引入 claude 组件。'),
    ),
    "RUNNER_NOT_SEEN": (
        "API 令牌的用户在 GitLab 中看不到运行器项目。",
        "请检查 RUNNER_PROJECT，并让该用户成为其中为本项目指定的那个项目的成员。",
    ),
    "RUNNER_NOT_PRIVATE": (
        "运行器项目不是私有的：别人会从它的日志中看到本项目的请求。",
        "请将其可见性设为私有（Settings > General > Visibility）。",
    ),
    "RUNNER_ASKS": (
        "运行器项目只运行其他项目的作业，自己不能提出请求。",
        "请在其他项目中提出；运行器项目写在 RUNNER_PROJECT 中。",
    ),
    "VARIABLES_FORBIDDEN": (
        "项目禁止使用流水线变量，而且没有作业可以在没有变量的情况下运行。",
        (
            "请引入 claude 组件，或降低 Settings > CI/CD > Variables > Minimum role to "
            "use pipeline variables 的要求。"
        ),
    ),
    "CI_CONFIG_INVALID": (
        "项目的 CI/CD 配置无效。",
        "请在 Build > Pipeline editor > Validate 中检查。",
    ),
    "CI_DISABLED": (
        "该项目已关闭 CI/CD。",
        ("维护者可以在 Settings > General > Visibility, project features, permissions 中开启。"),
    ),
    "IDENTITY_NOT_VERIFIED": (
        "流水线触发令牌的所有者尚未通过身份验证，GitLab 不会为其运行流水线。",
        (
            "请该用户登录，打开 Build > Pipelines 并按照 Verify my account 操作；或者改由"
            "已验证的用户创建令牌。"
        ),
    ),
    "PIPELINE_LIMIT": (
        "已达到 GitLab 对流水线和作业的规模或数量的限制。",
        "请等待正在运行的流水线结束，或者不要让其他作业进入由触发器启动的流水线。",
    ),
    "EXTERNAL_VALIDATION": (
        "为该 GitLab 检查流水线的外部服务拒绝了这条流水线。",
        "请联系 GitLab 管理员；如果是 GitLab.com，请联系其技术支持。",
    ),
    "PIPELINE_FAILED_AT_ONCE": (
        "GitLab 创建了流水线，但它立即失败了。",
        "请在 Build > Pipelines 中打开它，那里写有原因。",
    ),
    "GITLAB_REFUSED": (
        "GitLab 拒绝创建流水线。",
        ("请手动运行一条流水线（Build > Pipelines > New pipeline），查看 GitLab 给出的提示。"),
    ),
    "PIPELINE_RATE_LIMIT": ("GitLab 限制了每分钟可启动的流水线数量，我们会重试。", ""),
    "GITLAB_REDIRECTS": (
        "GitLab 返回了重定向，而我们不跟随重定向。",
        "请把 GITLAB_URL 设为 GitLab 重定向到的地址。",
    ),
    "GITLAB_UNAVAILABLE": ("GitLab 没有响应，我们会重试。", ""),
    "SETTING_WRONG": (
        "某项设置使函数无法启动，或与函数实际使用的设置不一致。",
        "请改正设置文件中的对应行，然后重新部署。",
    ),
    "PART_BROKEN": ("部署的某个部分缺失、已关闭或对外开放。", "请重新部署。"),
    "VERSION_TOO_OLD": (
        "该 GitLab 的版本低于作业的要求。",
        "管理员可以将其升级到 17.0 或更高版本。",
    ),
    "BOT_RIGHTS": (
        "API 令牌的用户无权完成它应做的工作。",
        "维护者可以让它成为项目的 Maintainer；其令牌需要 api 范围。",
    ),
    "TOKEN_EXPIRES": (
        "有一个令牌将在 14 天内过期。",
        "请令牌的创建者轮换它，然后保存新的令牌。",
    ),
    "HOOK_MISSING": (
        "项目中没有指向本部署的 Webhook。",
        "维护者可以运行 setup，或在 Settings > Webhooks 中添加。",
    ),
    "HOOK_INCOMPLETE": (
        "该 Webhook 缺少应当发送的内容。",
        "维护者可以运行 setup，或在 Settings > Webhooks 中编辑。",
    ),
    "HOOK_UNANSWERED": (
        "GitLab 无法投递到该 Webhook 的 URL。",
        "请查看它的最近事件；如果是私有地址，需要管理员放行。",
    ),
    "CI_SWITCHED_OFF": (
        "该项目不运行流水线。",
        "维护者可以开启 CI/CD，或取消项目归档。",
    ),
    "JOB_VARIABLE": (
        "作业所需的某个 CI/CD 变量缺失，或无法传递给作业。",
        "维护者可以运行 setup，或在 Settings > CI/CD > Variables 中改正。",
    ),
    "NO_RUNNER": (
        "没有可供该项目使用的在线 Runner。",
        "维护者可以在 Settings > CI/CD > Runners 中启用一个。",
    ),
}

STATES = {
    "queued": "Claude 已接手：{pipeline} 正在排队。",
    "stuck": (
        "Claude 已接手，但还没有 Runner 领取 {pipeline}。是否有与作业标签匹配的在线 Runner？"
    ),
    "waiting": "{pipeline} 正在等待本讨论中较早的运行结束。",
    "manual": "{pipeline} 正在等待有人手动启动其作业。",
    "running": "Claude 正在工作：{job}。",
    "success": "Claude 已完成：{pipeline} 用时 {duration}。",
    "failed": "Claude 未能完成。{cause}日志：{job}。如需重试，请写 `{phrase} retry`。",
    "timed_out": ("Claude 的时间用完了：{job} 达到了时间上限。请缩小单次请求的范围，或提高上限。"),
    "not_started": "Claude 没有启动：{other} 在此之前失败了。修复之后，请写 `{phrase} retry`。",
    "beside": "Claude 已完成。{pipeline} 因另一个作业失败：{other}。",
    "canceled": "已取消：{pipeline}。",
    "superseded": (
        "Claude 开始之前已被取消：{pipeline}。如果期间分支上有新的提交，GitLab 会自动"
        "取消。如需重新启动，请写 `{phrase} retry`。"
    ),
    "skipped": "GitLab 跳过了 {pipeline}：其中没有需要运行的作业。",
    "deleted": "有人删除了 {pipeline}。如需重试，请写 `{phrase} retry`。",
}
BESIDE = "同一条流水线中的其他作业：{jobs}。"
UNDERSTOOD = "已理解：{task}{options}。{to_stop}"
BY_POLICY = "无人提出：本部署会自行启动{task}（`AUTO`）。{to_stop}"
TO_STOP = "如需停止，请在这里写 `{phrase} stop`。"
OPTIONS = {"model": "模型 {}", "turns": "最多 {} 轮", "minutes": "最多 {} 分钟"}
JOB, PIPELINE = "作业 {}", "流水线 {}"
REFUSED = "Claude 没有启动。{sentence}{hint}{cure}"
WAITS = "{sentence}Claude 会在 {time} UTC 或稍后自动开始处理。"

BUDGET_LEFT = "{cap} 中还剩 {left}，另有 {held} 为进行中的运行预留；一次运行最多可花 {run}。{anew}"
BUDGET_ANEW = "预算将于 {time} UTC 重新起算。"

TASKS = {
    "review": "评审",
    "fix": "修复",
    "explain": "解释",
    "mention": "您的请求",
    "assign": "处理此事",
    "assign_reviewer": "评审",
    "label": "处理此事",
}
PROMPTS = {
    "assign": "请处理此事。",
    "assign_reviewer": "请评审这个合并请求。",
    "label": "请处理此事。",
}

CAUSES = {
    "script_failure": "作业的脚本执行失败。",
    "api_failure": "GitLab 与作业失去了联系。",
    "stuck_or_timeout_failure": (
        "没有 Runner 领取该作业，或 Runner 停止了响应。请检查是否有可用的在线 Runner。"
    ),
    "runner_system_failure": "Runner 出现故障。",
    "runner_unsupported": "Runner 版本过旧，无法运行该作业。请升级 Runner。",
    "missing_dependency_failure": "作业所依赖的前序作业的产物已不存在。",
    "no_matching_runner": "没有 Runner 匹配作业的标签。请注册一个，或修改标签。",
    "ci_quota_exceeded": "项目的计算分钟数已用完。请购买更多，或使用自己的 Runner。",
    "user_blocked": "触发令牌的所有者已被禁用。请由其他用户创建令牌。",
    "builds_disabled": "该项目已关闭 CI/CD。",
    "data_integrity_failure": "GitLab 无法准备该作业。",
    "protected_environment_failure": "触发令牌的所有者无权部署到该作业的环境。",
    "config_error": "项目的 CI/CD 配置无效。请查看 Build > Pipeline editor > Validate。",
}
CAUSE_UNKNOWN = "作业失败，GitLab 没有给出我们已知的原因。"

HELP = """\
在议题或合并请求的评论中，或在新建议题、合并请求的标题或描述中，写上 `{phrase}` 和\
您的需求。以下单词写在最前面时有特殊含义：

| 写法 | 作用 |
|---|---|
| `{phrase} review …` | 评审合并请求；可以说明要看什么 |
| `{phrase} fix …` | 找到原因并修复 |
| `{phrase} explain …` | 作出解释，不做任何修改 |
| `{phrase} status` | 列出本讨论中的运行 |
| `{phrase} stop` | 取消本讨论中的运行 |
| `{phrase} retry` | 再次运行本讨论中的上一个请求 |
{budget}| `{phrase} help` | 显示本帮助 |

选项写在正文之前：{options}。
"""
HELP_BUDGET = "| `{phrase} budget` | 说明还可以花多少、已花多少 |\n"
HELP_OPTIONS = {
    "model": "`--model NAME`（{}）",
    "turns": "`--turns N`（最多 {}）",
    "minutes": "`--minutes N`（最多 {}）",
}
STATE_NAMES = {
    "queued": "排队中",
    "stuck": "排队中，还没有 Runner 领取",
    "waiting": "等待较早的运行结束",
    "manual": "等待有人手动启动",
    "running": "运行中",
    "success": "已完成",
    "failed": "失败",
    "timed_out": "超时",
    "not_started": "未启动，因为另一个作业失败",
    "beside": "已完成，但另一个作业失败",
    "canceled": "已取消",
    "superseded": "开始前已取消",
    "skipped": "已跳过",
    "deleted": "已删除",
}
STATUS_NONE = "没有找到本讨论的运行。"
STATUS_LINE = "- {pipeline}：{state}"
STATUS_GONE = "已删除"
STOPPED = "已取消：{pipelines}。"
STOPPED_WAITING = "本讨论中正在排队的运行不会再启动。"
STOP_NONE = "本讨论中没有正在进行的运行。"
STOP_FORBIDDEN = "GitLab 不允许我们的令牌取消 {pipelines}。有权在该分支上运行流水线的成员可以取消。"
BUDGET_NONE = "本部署没有设定预算。"
BUDGET_RUN = "一次运行最多可花 {run}。"
BUDGET_HEAD = (
    "| 预算 | 总额 | 已花 | 为进行中的运行预留 | 剩余 | 重新起算（UTC） |\n"
    "|---|---|---|---|---|---|"
)
BUDGET_ROW = "| {whose} | {cap} | {spent} | {held} | {left} | {time} |"
BUDGET_NAMES = {"BUDGET_USER": "您今天的", "BUDGET_PROJECT": "本项目本月的"}
BUDGET_FULL = "{sentence}{anew}"
BUDGET_ROOM = "本部署本月的预算还够启动一次运行。"
DID_YOU_MEAN = "您是不是想写 `{}`？"
OFFERED = "这里提供：{}。"
DURATION = "{minutes} 分 {seconds} 秒"
