"""The sentences of `job/messages.py` in Simplified Chinese (`language: zh-CN`).

Each name, `{name}` in braces and code span of that file stands here as well.
"""

INPUT_INVALID = ("组件的输入 `{name}` 无法使用：{expected}。", "请在 include 中改正。")
VARIABLE_MISSING = (
    "没有设置 CI/CD 变量 {name}，因此{purpose}。",
    ("维护者可以在 Settings > CI/CD > Variables 中设置；受保护的变量只会传给受保护的分支。"),
)
IDENTITY_TOKEN_MISSING = (
    "GitLab 没有把身份令牌（{name}）交给作业。",
    "请原样引入组件：它的 id_tokens 会申请该令牌；需要 GitLab 15.7 或更高版本。",
)
REQUEST_MISSING = (
    ("流水线没有携带请求：既没有带 ai_flow 的 TRIGGER_PAYLOAD，也没有 AI_FLOW_INPUT。"),
    "请写一条提及 Claude 的评论；如果手动启动流水线，请填写 AI_FLOW_INPUT。",
)
REQUEST_INVALID = (
    "本作业无法理解该请求：{what}。",
    "请让组件与触发函数使用相同的主版本。",
)
REQUEST_UNREADABLE = (
    "作业无法读取请求内容（HTTP {status}）：这是内部提问，因此流水线只收到了 ID。",
    (
        "请检查该评论是否仍然存在；{name} 中令牌的用户须能查看私密议题和内部备注，即"
        "具有 Developer 的权限。"
    ),
)
REQUEST_CHANGED = (
    "请求内容与流水线创建时已不一致，或不再属于提出请求的人。",
    "请在新的评论中再次提出请求。",
)
PROMPT_FILE_MISSING = (
    "默认分支上没有文件 {name}。",
    "请添加该文件，或去掉输入 prompt_file。",
)
TOOL_MISSING = (
    "作业的镜像中没有 {name}。",
    "请选择带有 git、Python 3.9，以及 npm 或 claude 命令的镜像。",
)
RUNNER_NOT_PRIVATE = (
    "运行器项目不是私有的：别人会从它的日志中看到其他项目的请求。",
    "请将其可见性设为私有（Settings > General > Visibility）。",
)
RUNNER_CHECKED_OUT = (
    "提出请求的项目应在的位置上已有一份检出。",
    "请在运行器项目的作业中把 GIT_STRATEGY 设为 empty。",
)
RUNNER_TOKEN_MISSING = (
    "CI/CD 变量 {name} 对环境 claude/{id} 没有值。",
    (
        "请由运行器项目的 Maintainer 在 Settings > CI/CD > Variables 中设置：作用域为该环境，"
        "值为项目 {id} 的令牌。"
    ),
)
RUNNER_TOKEN_OTHER = (
    "用 {name} 中的令牌在 GitLab 中看不到项目 {id}。",
    "请为作用域是环境 claude/{id} 的那个变量设置该项目的令牌。",
)
INSTALL_FAILED = (
    "无法安装 npm 包 {name} {version}。",
    ("作业日志中有 npm 的输出；如果无法访问 npm registry，请使用自带 claude 命令的镜像。"),
)
UNPROTECTED = (
    "include 允许执行命令或 MCP 服务器，而在这个 Runner 上，它们能够读到作业的令牌。",
    (
        "请以 root 运行作业（普通 Docker 镜像即是如此），或使用支持 Landlock 或用户命"
        "名空间的内核，或从 allowed_tools 中去掉这些命令，并去掉 mcp_config；输入 "
        "`unprotected_commands: true` 表示接受该风险。"
    ),
)
TOKEN_REJECTED = (
    "GitLab 不接受 {name} 中的令牌。",
    ("它需要 api 和 write_repository 范围，不能过期，其用户在本项目中须至少是 Developer。"),
)
GITLAB_REFUSED = (
    "GitLab 拒绝{what}（HTTP {status}）。",
    "作业日志中有 GitLab 给出的信息。",
)
GITLAB_UNAVAILABLE = ("GitLab 没有响应。", "请重试作业；日志中有原因，例如证书问题。")
NOT_FETCHED = (
    "无法获取分支 `{branch}`。",
    "请检查该分支是否仍然存在，以及 {name} 中的令牌是否有权读取仓库。",
)
NO_DIFF = (
    "无法取得合并请求的差异，因此没有评审。",
    ("请把分支变基到目标分支，或让作业克隆更多历史（GIT_DEPTH），然后再次提出请求。"),
)
PUSH_REJECTED = (
    "GitLab 没有接受对 `{branch}` 的推送。",
    ("修改已保存在产物中。{name} 中的令牌需要 write_repository 范围，其用户须有权推送到该分支。"),
)
PUSH_RULE = (
    "GitLab 没有接受对 `{branch}` 的推送：{words}。",
    "这是项目、群组或该 GitLab 的推送规则或钩子的要求。修改已保存在产物中。",
)
PUSH_UNSIGNED = (
    "GitLab 没有接受对 `{branch}` 的推送：项目拒绝未签名的提交。",
    "请维护者通过组件的输入 signing_key_variable 为作业提供签名用的 SSH 密钥。修改已保存在产物中。",
)
PUSH_PROTECTED = (
    "GitLab 没有接受对 `{branch}` 的推送：该分支受保护。",
    (
        "请允许 {name} 中令牌的用户推送到该分支（Settings > Repository > Protected "
        "branches），或改用其他 branch_prefix。修改已保存在产物中。"
    ),
)
PUSH_SECRET = (
    "GitLab 没有接受对 `{branch}` 的推送：在修改中发现了密钥。",
    "作业日志中有文件和行号，修改已保存在产物中。请要求不带该密钥的修改。",
)
PUSH_SIZE = (
    "GitLab 没有接受对 `{branch}` 的推送：文件或仓库会过大。",
    ("作业日志中有 GitLab 的上限，修改已保存在产物中。请缩小请求范围，使用 Git LFS，或提高上限。"),
)
PUSH_READ_ONLY = (
    "GitLab 没有接受对 `{branch}` 的推送：该 GitLab 或项目处于只读状态。",
    "维护结束后请重试作业；已归档的项目需要先取消归档。修改已保存在产物中。",
)
NO_MERGE_REQUEST = (
    "修改已推送到 `{branch}`，但 GitLab 没有创建合并请求（HTTP {status}）。",
    "[请手动创建]({url})；作业日志中有 GitLab 给出的信息。",
)
MERGE_REQUEST_CLOSED = (
    "合并请求的状态为 {state}，因此没有推送任何内容。",
    ("请再次提出请求，修改会进入单独的分支。本次运行的修改在作业的产物中：changes.patch。"),
)
FORK = (
    "该合并请求来自另一个项目，其代码不得接触本项目的密钥。",
    "请把分支推送到本项目，并在本项目中创建合并请求。",
)
FORK_READ_ONLY = (
    "该合并请求来自派生项目：Claude 只读取其差异，不在其中做任何修改。",
    "请提出评审或解释的请求；如需修改，请把分支推送到本项目，并在本项目中创建合并请求。",
)
BRANCH_MOVED = (
    "在您提出请求之后，分支上有了新的提交。",
    ("请先查看新的提交，再次提出请求；输入 `branch_moved: continue` 会让作业照常继续。"),
)
REPAIRS_SPENT = (
    "本合并请求的流水线已尝试修复 {most} 次，因此没有启动 Claude。",
    (
        "请查看这些尝试所做的修改，然后用您自己的话提出请求，例如说明要改什么：这不再计入次数。"
        "也可以调高组件的输入 repair_tries。"
    ),
)
PIPELINE_UNREADABLE = (
    "GitLab 没有显示本合并请求的流水线（{status}），因此没有可供修复的依据。",
    "作业的令牌须能读取合并请求、流水线和作业；CI/CD 也须已启用。",
)
PIPELINE_MISSING = (
    "本合并请求的提交 {commit} 没有流水线，因此没有需要修复的内容。",
    "请启动一条流水线，待其结束后再次提出请求。",
)
PIPELINE_OF_BEFORE = (
    "本合并请求最新的流水线 {pipeline} 属于 {commit} 之前的提交。",
    "请为该提交启动一条流水线，待其结束后再次提出请求。",
)
PIPELINE_RUNS = (
    "本合并请求的流水线 {pipeline} 尚未结束。",
    "请待其结束后再次提出请求。",
)
NOTHING_FAILED = (
    "本合并请求的流水线 {pipeline} 中没有失败的作业（状态为 `{status}`），因此没有需要修复的内容。",
    "如果还缺少什么，请说明。",
)
NOT_THE_CODE = (
    (
        "本合并请求的流水线 {pipeline} 失败的原因不在代码：GitLab 给出的原因是 `{reasons}`。"
        "没有修改任何内容。"
    ),
    "请重试失败的作业。如果仍然如此失败，请联系负责 Runner 和项目 CI/CD 设置的人员。",
)
PUSHED_MEANWHILE = (
    "Claude 工作期间有人推送到了 `{branch}`，因此没有推送任何内容。",
    "请再次提出请求。修改在作业的产物中。",
)
DELETED_MEANWHILE = (
    "Claude 工作期间有人删除了 `{branch}`，因此没有推送任何内容。",
    "请再次提出请求。修改在作业的产物中。",
)
NOT_SIGNED_IN = (
    "模型提供商没有接受作业的身份。",
    "{why}请对照提供商 `{provider}` 的设置页面，检查密钥，或者角色及其策略。",
)
MODEL_UNKNOWN = (
    "提供商不认识该模型。",
    ("请检查输入 model 和 region；在 Bedrock 上，模型 ID 的前缀（例如 eu.）须与区域相符。"),
)
MODEL_NOT_ALLOWED = (
    "该账号或角色无权使用此模型。",
    ("请申请该区域的模型访问权限，并允许角色调用它：策略见提供商 `{provider}` 的设置页面。"),
)
MODEL_PROFILE = (
    "Bedrock 只通过推理配置文件提供该模型。",
    "请在输入 model 中给模型 ID 加上前缀，例如 eu. 或 us.。",
)
REGION_NOT_SERVED = (
    "提供商在该区域或国家/地区不提供此模型。",
    "请在输入 region 中选择其他区域。",
)
NO_CREDIT = (
    "模型提供商的账号余额不足，或已达到消费上限。",
    "请账号所有者充值或提高上限，然后再次提出请求。",
)
ACCOUNT_DISABLED = ("模型提供商已停用该账号。", "请账号所有者联系提供商。")
PROMPT_TOO_LONG = (
    "要让 Claude 阅读的内容超出了模型的长度限制。",
    (
        "请缩小单次请求的范围；如果当前议题或合并请求很长，请新建一个；`resume: "
        "false` 可以减少发送的内容。"
    ),
)
PROVIDER_OFF = (
    "云项目中没有启用该提供商的 API。",
    "请启用它：链接在作业日志中。",
)
PROVIDER_UNREACHABLE = (
    "无法连接模型提供商。",
    "请检查 Runner 到提供商的网络：代理、证书、防火墙。然后重试作业。",
)
QUOTA = (
    "该模型在此区域的配额已用完。",
    "请稍后再试，或申请提高配额。",
)
RATE_LIMITED = ("已达到提供商的速率限制（429）。", "请稍后再试，或提高限制。")
OVERLOADED = ("提供商过载或出现故障（{status}）。", "请稍后再试。")
API_REFUSED = ("提供商拒绝了调用（{status}）{words}。", "作业日志中有它给出的信息。")
MAX_TURNS = (
    "Claude 达到 {limit} 轮的上限，已停止。",
    ("请缩小单次请求的范围，或提高上限：评论中指定的上限优先，其次是输入 max_turns。"),
)
MAX_BUDGET = (
    "Claude 达到 ${limit} 的上限，已停止。",
    "请缩小单次请求的范围，或提高输入 max_budget_usd 以及（若已设定）BUDGET_PER_RUN。",
)
CLAUDE_FAILED = (
    "Claude Code 没有给出结果就结束了（退出码 {status}）。",
    "详情见作业日志。",
)
CLAUDE_KILLED = (
    "Claude Code 被强制终止（退出码 {status}），很可能是 Runner 内存不足。",
    "请给 Runner 的作业更多内存，或缩小单次请求的范围。",
)
TIME_LIMIT = (
    "Claude 达到 {limit} 分钟的时间上限，已停止。",
    ("请缩小单次请求的范围，或提高上限：评论中指定的上限优先，其次是输入 timeout_minutes。"),
)
CANCELED = ("作业已被取消。", "")
CANCELED_PUSHING = (
    "作业在推送到 `{branch}` 时被取消。",
    "请到该分支查看哪些内容已经到达。",
)
DEFECT = (
    "作业遇到了自身的缺陷（{name}）。",
    "请上报作业日志的末尾部分。",
)

WITH_CURE = "{sentence}{cure}"

HOOK_DECLINED = "钩子拒绝了推送"
WHY_AUDIENCE = (
    "它期望的 audience 与令牌中的不同（见作业日志）：请相应修改输入 audience 或提供商的列表。"
)
WHY_ISSUER = "它没有与令牌签发者对应的身份提供商；签发者见作业日志。"
WHY_KEYS = "它无法通过互联网读取该 GitLab 的公钥（/oauth/discovery/keys）。"
WHY_TRUST = "其角色、身份池或规则的条件与令牌不符：请与作业日志中的 aud、iss 和 sub 对照。"
WHY_BINDING = (
    "它认识该令牌，但服务账号没有放行：缺少 roles/iam.workloadIdentityUser，或该账号不存在。"
)
WHY_POOL = "GCP_WORKLOAD_IDENTITY_PROVIDER 没有指向任何提供商。"
WHY_API_OFF = "云项目中有一个 API 未启用；链接在作业日志中。"
WHY_DURATION = "其角色的最长会话时间短于 timeout_minutes：请修改其中之一。"
WHY_EXPIRED = "令牌已过期：请重试作业。"
NO_JSON = "TRIGGER_PAYLOAD 中没有 JSON 对象"
OTHER_VERSION = "ai_flow 的版本不是 {versions}"
NO_THREAD_OR_TIME = "这是内部提问，但缺少议题、合并请求或流水线的时间"
NO_RUN_ID = "其 id 不是运行 ID"
OTHER_PROJECT = "它属于另一个项目"
SHOW_MERGE_REQUEST = "显示合并请求"
UPDATE_MERGE_REQUEST = "更新合并请求"
NO_ANSWER = "无法推送，也无法回复"
NO_SIGNATURE = "无法为提交签名"
NO_CLAUDE_API = "无法调用 Claude"
NO_EXCHANGE = "无法用 GitLab 的身份令牌换取 Claude API 令牌"
NO_BEDROCK = "无法调用 Amazon Bedrock"
NO_VERTEX = "无法调用 Vertex AI"
NO_CLAUDE_AWS = "无法调用 Claude Platform on AWS"
NO_FOUNDRY = "无法调用 Microsoft Foundry"
NO_MCP_TOKEN = "GitLab MCP 服务器没有自己的令牌（范围 read_api）"  # noqa: S105
NO_MCP_VARIABLE = "团队的 MCP 服务器无法登录"
MODEL_EXPECTED = "{provider} 需要完整的模型 ID"
AWS_REGION_EXPECTED = "该提供商需要一个 AWS 区域"
LOCATION_EXPECTED = "vertex 需要一个位置，例如 global 或 eu"
KEY_EXPECTED = (
    "git 无法签名；该变量必须是没有密码短语的 SSH 私钥，镜像中必须有 git 2.34、openssh-client，"
    "并且 /etc/passwd 中有作业的用户；作业日志中有 git 的原话"
)
KEY_SHARED = "输入 environment 或 mcp_variables 也列出了该变量，Claude 的命令或服务器会看到它"
KEY_OPEN = "在该 runner 上，没有什么能防止 Claude 读取该密钥"
CLONE = "项目的克隆（GIT_STRATEGY: none）"
CLAUDE_COMMAND = "claude 命令，而输入 claude_version 为空"

WORKING = "Claude 正在工作：{job}。"
BESIDE = "同一条流水线中的其他作业：{jobs}。"
MORE_TODOS = "- … 还有 {count} 项"
FINISHED = "Claude 已完成。"
FAILED = "Claude 未能完成。{failure}"
NO_TEXT = "Claude 没有给出回答。"
ANSWERED = "Claude 的回答："
MERGE_REQUEST = "**合并请求：{url}**"
PUSHED = "**已推送到本合并请求：{commit}**"
JOB = "作业：{job}。"
JOB_NAME = "作业 {id}"
TURN, TURNS = "{count} 轮", "{count} 轮"
SECONDS, MINUTES = "{seconds} 秒", "{minutes} 分 {seconds} 秒"
DENIED = "未被允许：{tools}"
RAN = "运行的命令：{commands}。"
RAN_WELL, RAN_BADLY, RAN_TOO_LONG = "✔", "退出码 {status}", "超时"
MORE_RAN = "以及另外 {count} 条"
CUT = "（在此截断：完整的回答在作业的产物中）"

REMARK_PUSH_SKIPPED_CI = "CI 配置有改动，因此这次推送没有启动流水线：请先审阅改动。"
REMARK_NO_NOTE = (
    "该提交没有 git note，而组件的输入 `git_note` 要求有：原因见作业日志。"
    "产物 statement.json 内容相同，保留到 GitLab 将其删除为止。"
)
REMARK_BRANCH_MOVED = "在您提出请求之后，分支上有了新的提交：以上内容针对最新提交。"
REMARK_MOVED_KEPT = (
    "没有推送任何内容：在您提出请求之后，分支上有了新的提交。修改在作业的产物中：changes.patch。"
)
REMARK_TARGET_GONE = "目标分支 `{target}` 已不存在：改为与 `{default}` 比较。"
REMARK_TARGET_CHANGED = (
    "在您提问之后，目标分支已从 `{told}` 改为 `{target}`：这里说的是合并到后者的内容。"
)
REMARK_NO_DIFF = "Claude 没有看到合并请求的差异：无法取得。"
REMARK_DIFF_CUT = "Claude 没有看到合并请求的全部差异：内容过长。"
REMARK_NO_LOGS = (
    "Claude 没有得到流水线的日志和测试报告：能阅读本回复的人多于能阅读它们的人。请在内部备注中"
    "提问，或允许所有人阅读（Settings > CI/CD > General pipelines）。"
)
REMARK_NOT_PUSHED = (
    "没有推送任何内容：否则，能读取本项目代码的人会看到内部提问的内容。修改在作业的"
    "产物中，供 Developer 查看：changes.patch。组件的输入 `confidential_changes: "
    "push` 会推送它们。"
)
REMARK_NOT_TO_LEAVE = (
    "没有推送任何内容：否则，作业的密钥会随 {files} 中的修改泄露。修改在作业的产物"
    "中，其中的密钥已遮盖：changes.patch。"
)
REMARK_UNREAD = "Claude 没有看到这些文件，只看到了文件名：{files}。"
REMARK_UNRESOLVED = (
    "没有推送任何内容：{files} 中还留有与目标分支的冲突。Claude 的修改在作业的产"
    "物中：changes.patch。"
)
REMARK_LEFT = "未提交，因此也未推送：{files}。它们在作业的产物中：not-pushed.tar.gz。"
# Below the answer of a review.
REVIEW_POSTED = "已在合并请求的代码行上写下的评审意见：{count} 条。"
REVIEW_TOLD = "此前已写在那里、不再重复的评审意见：{count} 条。"
REVIEW_RESOLVED = "以往评审的讨论，因所涉代码行已更改而标为已解决：{count} 个。"
REVIEW_REST = "不属于合并请求中任何一行的评审意见："
REVIEW_MOVED = "合并请求已不停留在所评审的提交上，或已不再开放：没有在代码行上写任何内容。"
REVIEW_REFUSED = "GitLab 没有接受写在合并请求代码行上的评论（{status}）。"
REVIEW_OTHER_DRAFTS = (
    "没有在合并请求的代码行上写任何内容：令牌的用户在那里有一份尚未提交的评审，否则它会被一并发布。"
)
REVIEW_LOOKED = "已查看：{all} 个更改文件中的 {count} 个，位于 {commit}。"
REVIEW_NOT_LOOKED = "未查看：{files}。"
REVIEW_LARGE = "过大，GitLab 无法显示"
REVIEW_BINARY = "二进制文件"
REVIEW_UNCHANGED = "GitLab 没有显示更改的行"
REVIEW_BEYOND = "超出 Claude 所得差异的范围"
REVIEW_SKIPPED = "Claude 未查看"

LEFT_IGNORED = "被 git 忽略"
LEFT_SUBMODULE = "位于子模块中"
LEFT_NESTED = "位于另一个仓库中"
LEFT_FILTER = "须经过滤器 {name} 处理，而作业不运行它"
LEFT_LARGE = "大于 100 MiB"
LEFT_AGENT = "Claude 工作期间使用的是目标分支的版本"
LEFT_COMMIT = "不在文件中的提交或 stash"
LEFT_UNREAD = "git 无法添加"
MORE_LEFT = "以及另外 {count} 个"
REMARK_CASE = "{files} 与其他文件仅大小写不同：在 Windows 和 macOS 上只能保留其中一个。"
REMARK_MERGED = "已将目标分支合并到本分支。"
REMARK_CONTINUE = "在此让 Claude `continue`，它会从停下的地方继续。"
REMARK_ANSWER = "请在此提及 Claude 作答，它会从这里继续。"
REMARK_PATCH = "截至当时的修改在作业的产物中：changes.patch。"

CHANGES_FOR = "针对 {target} 的修改"
PROJECT = "本项目"
ASKED_FOR_IN = "请求来自 {target}。"
STARTED_IN = "由策略在 {target} 中启动：无人提出。"
DESCRIPTION = "以下修改由 Claude 完成。"

EXCHANGE_REFUSED = "GitLab 的身份令牌没有换取成功：{error}"
CLAIMS = "GitLab 的身份令牌含有 {claims}"
NO_HASH = "这里没有 {name} {version} 的哈希值：以 registry 提供的内容为准。"
PROTECTED = "Claude 启动的程序{way}。"
AS_USER = "以另一个用户运行，该用户既不能读取作业的进程，也不能读取其文件"
AS_USER_CONFINED = f"{AS_USER}，其余内容由 Landlock 隐藏"
IN_NAMESPACE = "运行在用户命名空间中，其中不存在作业的进程和文件"
IN_LANDLOCK = "受 Landlock 限制，看不到作业的进程和文件"
UNREADABLE = "以作业自己的用户运行；作业的进程不允许任何人读取"
UNPROTECTED_WAY = "没有与作业的进程和文件隔离：这个 Runner 上没有可用的隔离手段"
OPEN_TO_BRANCHES = (
    "警告：{name} 会传给未受保护的分支，任何 Developer 都能在那里把它打印出来。请"
    "把该变量设为受保护、掩码并隐藏。"
)
ABOVE_DEVELOPER = (
    "警告：{name} 的用户在本项目中的角色高于 Developer。除非要编辑的回复属于另一"
    "个用户，否则作业不需要更高的角色。"
)
SECTION_INSTALL, SECTION_BRANCH, SECTION_CLAUDE = "Claude Code", "分支", "Claude 正在工作"
NOT_STARTED = "Claude 无法启动。{failure}"
NO_NOTE = "该提交没有 git note：{error}"
OWN_PUSH = "这条流水线对应本作业自己的推送，因此不做任何操作。"
SUPERSEDED = "有了更新的提交，而且没有人提出这次运行，因此不作任何回复。"
TAKEN = "该请求已在流水线 {pipeline} 中运行过，因此不做任何操作。"
REPLY_FAILED = "无法写入回复。{error}"
RESTORED = "Claude 工作期间，{path} 使用目标分支的版本"
CHECKED_OUT = "位于 {commit}"
UNCHANGED = "没有任何修改。"
NOT_PUSHED = "没有推送任何内容；原因见回复。"
STEPS_ONLY = "这是内部提问，因此本日志只写步骤名称；其余内容在产物中。"
ANOTHER_TOOL = "其他工具"
